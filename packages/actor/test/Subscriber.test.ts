import { Actor, State, Subscriber } from "@troupe/actor"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Bank, bookkeeper, Shop } from "./till.ts"

const { closed, paid } = Shop.Till.events

describe("a subscriber", () => {
  it("has the state that it was made with", () => {
    const { initial, sends, state } = Subscriber.make("books", { state: Schema.Int, initial: 3, sends: [Bank.Safe] })
    assert.strictEqual(state.schema, Schema.Int)
    assert.strictEqual(initial, 3)
    assert.deepStrictEqual(sends, [Bank.Safe])
    const changed = State.make(Schema.Struct({ n: Schema.Int })).next(Schema.Int, ({ n }) => n)
    assert.strictEqual(Subscriber.make("books", { state: changed, initial: 0 }).state, changed)
  })

  it("may have none: then its state is void, for whoever runs it", () => {
    for (const subscriber of [Subscriber.make("journal"), Subscriber.make("journal", { sends: [] })]) {
      assert.isUndefined(subscriber.initial)
      const wire = State.wire(subscriber.state)
      assert.deepStrictEqual(wire.encode(subscriber.initial), { ok: true, text: "", value: undefined })
      assert.deepStrictEqual(wire.decode("", 1), { ok: true, value: undefined })
      assert.deepStrictEqual(subscriber.sends, [])
    }
  })

  it("is not changed by `on`: it gives another one", () => {
    const none = Subscriber.make("journal")
    const both = none.on(paid, () => {}).on(closed, () => {})
    assert.strictEqual(none.handlers.size, 0)
    assert.deepStrictEqual([...both.handlers.keys()], ["shop.Till.paid", "shop.Till.closed"])
    assert.deepStrictEqual([...bookkeeper.handlers.keys()], ["shop.Till.paid"])
  })

  it("needs a name that the database and a metric can have", () => {
    assert.strictEqual(Subscriber.make("a1-b").name, "a1-b")
    for (const name of ["", "Journal", "1a", "a.b", "a b", "a".repeat(41)])
      assert.throws(() => Subscriber.make(name), "is no name for a subscriber")
  })
})

describe("an actor", () => {
  it("sends to nobody unless it says so", () => {
    const till = Actor.make(Shop.Till, { state: Schema.Int, initial: 0 }).commands({ pay: () => 0, close: () => {} })
    assert.deepStrictEqual(till.sends, [])
    assert.strictEqual(till.initial, 0)
  })
})
