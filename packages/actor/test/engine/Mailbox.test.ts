import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Mailbox from "../../src/engine/Mailbox.ts"
import { incoming } from "./incoming.ts"

const mebibyte = incoming({ data: new Uint8Array(1024 ** 2) })
const empty = incoming({ data: new Uint8Array(0) })

/** Whether the promise is done once everything that can run has run. */
const isDone = (promise: Promise<void>) => {
  let done = false
  void promise.then(() => (done = true))
  return Effect.as(
    Effect.promise(() => new Promise((resolve) => setImmediate(resolve))),
    () => done
  )
}

describe("the mailbox of a partition", () => {
  it.effect("gives all that is at hand, in order, and then has none", () =>
    Effect.gen(function* () {
      const box = Mailbox.make()
      const [a, b] = [incoming({ subject: "a" }), incoming({ subject: "b" })]
      for (const one of [a, b]) assert.isUndefined(box.offer(one))
      assert.deepStrictEqual(yield* box.take, [a, b])
      const none = yield* Effect.forkChild(box.take, { startImmediately: true })
      assert.isUndefined(none.pollUnsafe())
      yield* Fiber.interrupt(none)
    })
  )

  it.effect("waits for the first message only", () =>
    Effect.gen(function* () {
      const box = Mailbox.make()
      const taking = yield* Effect.forkChild(box.take, { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(taking.pollUnsafe())
      box.offer(empty)
      assert.deepStrictEqual(yield* Fiber.join(taking), [empty])
      const again = yield* Effect.forkChild(box.take, { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(again.pollUnsafe())
      yield* Fiber.interrupt(again)
    })
  )

  const bounds = [
    ["count: 1,000 messages", empty, 1_000],
    ["bytes: 4 MiB", mebibyte, 4]
  ] as const
  it.effect.each(bounds)("is bounded by %s, and gives room again", ([, message, limit]) =>
    Effect.gen(function* () {
      const box = Mailbox.make()
      for (let round = 0; round < 2; round++) {
        for (let n = 1; n < limit; n++) assert.isUndefined(box.offer(message), `the ${n}th of ${limit}`)
        const room = [box.offer(message), box.offer(message)]
        for (const promise of room) assert.isDefined(promise)
        const done = yield* Effect.forEach(room, (promise) => isDone(promise!))
        assert.deepStrictEqual(
          done.map((is) => is()),
          [false, false]
        )
        assert.strictEqual((yield* box.take).length, limit + 1)
        yield* Effect.promise(() => Promise.all(room))
      }
    })
  )
})
