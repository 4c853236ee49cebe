import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { lineOf } from "../Failure.ts"
import { failed, type Finding, ok } from "./Finding.ts"

const embedded = Effect.promise(() => import("@troupe/embedded"))

/** Where NATS_URL is not set: whether `troupe dev` can start a nats-server. Tried, and stopped again. */
export const natsBinary: Effect.Effect<ReadonlyArray<Finding>> = tried(
  "nats",
  "NATS_URL is not set: troupe dev starts its own nats-server",
  Effect.flatMap(embedded, ({ NatsServer }) => NatsServer.start())
)

/** Where DATABASE_URL is not set: whether `troupe dev` can start a PostgreSQL. Tried, and stopped again. */
export const postgresBinary: Effect.Effect<ReadonlyArray<Finding>> = tried(
  "postgres",
  "DATABASE_URL is not set: troupe dev starts its own PostgreSQL",
  Effect.flatMap(embedded, ({ Postgres }) => Postgres.start())
)

function tried<E>(
  check: string,
  says: string,
  start: Effect.Effect<unknown, E, Scope.Scope>
): Effect.Effect<ReadonlyArray<Finding>> {
  return Effect.gen(function* () {
    const before = yield* Clock.monotonicTimeNanos
    const took = yield* Effect.scoped(
      Effect.andThen(
        start,
        Effect.map(Clock.monotonicTimeNanos, (now) => Number(now - before) / 1e6)
      )
    )
    return [ok(check, `${says} (tried here: ${(took / 1000).toFixed(1)} s)`)]
  }).pipe(Effect.catch((error) => Effect.succeed([failed(check, new Error(lineOf(error)))])))
}
