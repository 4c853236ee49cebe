import { Actor } from "@troupe/actor"
import { assert, describe, it } from "@effect/vitest"
import { Contract, Envelope } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Consumer from "../../src/engine/Consumer.ts"
import { handled } from "./handled.ts"
import { incoming } from "./incoming.ts"

const compute = (ms: number): void => {
  const until = performance.now() + ms
  while (performance.now() < until);
}

class Till extends Contract.actor({
  key: Schema.String,
  commands: {
    pay: Contract.command({ payload: {} }),
    read: Contract.command({
      payload: { text: Schema.String.check(Schema.makeFilter(() => (compute(25), true))) }
    })
  },
  events: {}
}) {}
const Shop = Contract.make("shop", { Till })
const actor = Actor.make(Shop.Till, { state: Schema.Int, initial: 0 }).commands({
  pay: async () => compute(25),
  read: () => {}
})

/** Eight partitions handle a batch at once; the longest part of the time in which the event loop did not turn, and what was done. */
const batches = (what: "pay" | "read", count: number) =>
  Effect.gen(function* () {
    const consumer = Consumer.ofActor(Shop, actor, 1)
    const begun = performance.now()
    let last = begun
    let longest = 0
    const turned = (): void => {
      longest = Math.max(longest, performance.now() - last)
      last = performance.now()
    }
    const turning = setInterval(turned, 1)
    const done = yield* Effect.forEach(
      Array.from({ length: 8 }, (_, p) => p),
      (p) =>
        handled(
          consumer,
          Array.from({ length: count }, (_, i) =>
            incoming({
              subject: `cmd.shop.${p}.Till.${what}.k${i}`,
              headers: Envelope.toHeaders({ id: `${p}-${i}`, type: `shop.Till.${what}`, source: "test" }),
              data: `{"text":"x"}`
            })
          )
        ),
      { concurrency: "unbounded" }
    ).pipe(Effect.ensuring(Effect.sync(() => clearInterval(turning))))
    turned()
    return { part: longest / (last - begun), done: done.map(({ work }) => work.inbox.length) }
  })

describe("partitions that compute", () => {
  // With a clock that stands, so that no batch ends before all is done.
  it.effect("let the event loop turn between their messages, whatever all of them have to do", () =>
    Effect.gen(function* () {
      const { done, part } = yield* batches("pay", 7)
      assert.deepStrictEqual(done, Array(8).fill(7))
      assert.isBelow(part, 0.5)
    })
  )

  it.live("let it turn while they decode, and open no more than they have time for", () =>
    Effect.gen(function* () {
      const { done, part } = yield* batches("read", 12)
      assert.isBelow(part, 0.5)
      assert.isTrue(
        done.every((count) => count > 0 && count < 12),
        String(done)
      )
    })
  )
})
