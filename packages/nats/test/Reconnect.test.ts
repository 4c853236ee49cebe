import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Nats } from "../src/Nats.ts"
import { whileConnected } from "../src/Reconnect.ts"

/** The part of a connection that tells of its losses. */
const connection = (connected: boolean) => {
  const listeners = { disconnect: new Set<() => void>(), reconnect: new Set<() => void>() }
  const acks = {
    connected,
    on: (event: "disconnect" | "reconnect", run: () => void) => {
      listeners[event].add(run)
      return () => void listeners[event].delete(run)
    }
  }
  return {
    nats: { acks } as unknown as Nats["Service"],
    tell: (event: "disconnect" | "reconnect") => listeners[event].forEach((run) => run()),
    listeners: () => listeners.disconnect.size + listeners.reconnect.size
  }
}

it.effect("what waits for a connection, or for its loss, hears nothing more of it afterwards", () =>
  Effect.gen(function* () {
    const away = connection(false)
    const waiting = yield* Effect.forkChild(Effect.provideService(whileConnected(Effect.succeed(1)), Nats, away.nats))
    while (away.listeners() === 0) yield* Effect.yieldNow
    away.tell("reconnect")
    assert.strictEqual(yield* Fiber.join(waiting), 1)
    assert.strictEqual(away.listeners(), 0)

    const there = connection(true)
    const lost = yield* Effect.forkChild(
      Effect.flip(Effect.provideService(whileConnected(Effect.never), Nats, there.nats))
    )
    while (there.listeners() === 0) yield* Effect.yieldNow
    there.tell("disconnect")
    assert.strictEqual((yield* Fiber.join(lost))._tag, "Unanswered")
    assert.strictEqual(there.listeners(), 0)
  })
)
