import { assert, describe, it } from "@effect/vitest"
import { Nats } from "@troupe/nats"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import * as TooLate from "../../src/engine/TooLate.ts"
import { incoming } from "./incoming.ts"

const consumer = { name: "shop.Till" }
const late = incoming({ subject: "cmd.shop.3.Till.pay.k", headers: { "ce-id": "late" }, data: "{}" })

/** What is logged while a stream is to remember a command that was too late. */
const logged = (deleteMessage: (stream: string, seq: number) => Promise<boolean>) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    const getMessage = async () => ({ header: new Map([["ce-id", "late"]]) })
    const nats = { jsm: { streams: { deleteMessage, getMessage } } } as unknown as Nats["Service"]
    const remembering = yield* TooLate.remember(consumer, [late]).pipe(
      Effect.provideService(Nats, nats),
      Effect.provide(Logger.layer([logger])),
      Effect.forkChild({ startImmediately: true })
    )
    yield* TestClock.adjust("3 seconds")
    yield* Fiber.join(remembering)
    return lines.join()
  })

describe("a stream that does not remember that a command was too late", () => {
  it.effect("is told in the log, and holds up no answer: it refuses", () =>
    Effect.gen(function* () {
      const lines = yield* logged(async () => {
        throw new Error("permissions violation")
      })
      assert.match(lines, /^TRP0321 .* · shop\.Till · .*permissions violation/)
    })
  )
  it.effect("is told in the log, and holds up no answer: it does not answer", () =>
    Effect.gen(function* () {
      assert.match(yield* logged(() => new Promise(() => {})), /^TRP0321 .* · shop\.Till · /)
    })
  )
})
