import { Actor } from "@troupe/actor"
import { assert, it } from "@effect/vitest"
import { Contract, Envelope } from "@troupe/contract"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Consumer from "../../src/engine/Consumer.ts"
import { Pace, Slow } from "../../src/engine/Pace.ts"
import { handled } from "./handled.ts"
import { incoming } from "./incoming.ts"

class Till extends Contract.actor({ key: Schema.String, commands: { pay: Contract.command({ payload: {} }) } }) {}
const Shop = Contract.make("shop", { Till })

/** Messages of these keys to a handler that takes so many seconds. */
const paid = (seconds: number, keys: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    let now = 0n
    const clock = Object.assign(Object.create(yield* Clock.Clock) as Clock.Clock, {
      monotonicTimeNanos: Effect.sync(() => now)
    })
    const till = Actor.make(Shop.Till, { state: Schema.Int, initial: 0 }).commands({
      pay: () => void (now += BigInt(seconds) * 1_000_000_000n)
    })
    const items = keys.map((key, i) => {
      const headers = Envelope.toHeaders({ id: `id ${i}`, type: "shop.Till.pay", source: "test" })
      return incoming({ subject: `cmd.shop.0.Till.pay.${key}`, headers, data: "{}" })
    })
    return yield* handled(Consumer.ofActor(Shop, till, 1), items).pipe(Effect.provideService(Clock.Clock, clock))
  })

it.effect("turns of a batch are begun for 5 s", () =>
  Effect.gen(function* () {
    const keys = ["a", "b", "c", "d", "e"]
    for (const all of [keys, keys.map(() => "a")]) {
      assert.strictEqual((yield* paid(1, all)).work.inbox.length, 5)
      const slow = yield* Effect.flip(paid(2, all))
      assert.instanceOf(slow, Slow)
      assert.strictEqual(slow.done, 3)
    }
    assert.strictEqual((yield* paid(60, ["a"])).work.inbox.length, 1, "a message alone has its time")
  })
)

it("a partition whose turns are slow handles fewer messages at once, until they are quick again", () => {
  const pace = new Pace()
  pace.took(1_000, 1n)
  assert.strictEqual(pace.most, Number.POSITIVE_INFINITY)
  pace.slow(9)
  assert.strictEqual(pace.most, 4)
  pace.took(4, 2_000_000_000n)
  pace.took(3, 1n)
  assert.strictEqual(pace.most, 4)
  pace.took(4, 1n)
  assert.strictEqual(pace.most, 8)
  pace.slow(1)
  assert.strictEqual(pace.most, 1, "one message is always handled")
})
