import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Nats } from "./Nats.ts"
import { Unanswered } from "./Publisher.ts"

/** Calls back, until the scope ends, each time the connection is there again after it was lost. */
export const onReconnect = (run: () => void): Effect.Effect<void, never, Nats | Scope.Scope> =>
  Effect.flatMap(Nats, ({ acks }) =>
    Effect.acquireRelease(
      Effect.sync(() => acks.on("reconnect", run)),
      (end) => Effect.sync(end)
    )
  )

/**
 * Begins when the connection is there, and fails when it is lost meanwhile: what the client sends in between never
 * arrives, and would be waited for until its time is over.
 */
export const whileConnected = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Unanswered, R | Nats> =>
  Effect.flatMap(Nats, ({ acks }) => {
    const next = (event: "disconnect" | "reconnect") =>
      Effect.callback<void>((resume) => {
        const end = acks.on(event, () => {
          end()
          resume(Effect.void)
        })
        return Effect.sync(end)
      })
    const lost = Effect.andThen(next("disconnect"), Effect.fail(new Unanswered({ detail: "the connection was lost" })))
    return Effect.suspend(() =>
      Effect.andThen(acks.connected ? Effect.void : next("reconnect"), Effect.raceFirst(effect, lost))
    )
  })
