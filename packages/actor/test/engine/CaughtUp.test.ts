import { assert, describe, it } from "@effect/vitest"
import { Subscriber } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import * as Schema from "effect/Schema"
import { CaughtUp, type Known } from "../../src/engine/CaughtUp.ts"
import * as Consumer from "../../src/engine/Consumer.ts"

class Cart extends Contract.actor({ key: Schema.String, commands: {}, events: { filled: Contract.event({}) } }) {}
class Desk extends Contract.actor({ key: Schema.String, commands: {}, events: { called: Contract.event({}) } }) {}
const Shop = Contract.make("shop", { Cart, Desk })

const carts = Subscriber.make("carts").on(Shop.Cart.events.filled, () => {})
const waits = (subscriber: Subscriber.AnySubscriber = carts) =>
  new CaughtUp(Consumer.ofSubscriber(Shop, subscriber, 1), 3)

/** A partition that stands at these positions, with these keys parked. */
const at = (lanes: { readonly [actor: string]: number } | undefined, ...parked: ReadonlyArray<string>): Known =>
  ({
    cursors: { EVT_shop: { seq: 1_000, id: "", ...(lanes === undefined ? {} : { lanes }) } },
    agenda: { key: (token: string) => (parked.includes(token) ? {} : undefined) }
  }) as unknown as Known

const answered = (of: CaughtUp, known: Known, now = 0): ReadonlyArray<string> => {
  const callers: Array<string> = []
  of.look(known, now, (caller) => callers.push(caller))
  return callers
}

describe("who waits for a subscriber", () => {
  it("hears it at once when its event was handled", () => {
    assert.strictEqual(waits().ask("a", "shop.Cart.3.7.k", at({ Cart: 7 }), 0), "done")
    assert.strictEqual(waits().ask("a", "shop.Cart.3.7.k", at({ Cart: 8, Desk: 1 }), 0), "done")
  })

  it("waits while it is not known, or of another lane, or before", () => {
    const one = waits()
    assert.isUndefined(one.ask("a", "shop.Cart.3.7.k", at(undefined), 0))
    assert.isUndefined(one.ask("b", "shop.Cart.3.9.k", at({ Desk: 100 }), 0))
    assert.isEmpty(answered(one, at({ Desk: 100, Cart: 6 })))
    assert.deepStrictEqual(answered(one, at({ Cart: 8 })), ["a"])
    assert.deepStrictEqual(answered(one, at({ Cart: 9 })), ["b"])
    assert.isEmpty(answered(one, at({ Cart: 9 })), "each is answered once")
  })

  it("waits while its key is parked, and no other key's parking holds it up", () => {
    const one = waits()
    assert.isUndefined(one.ask("a", "shop.Cart.3.7.k%2A", at({ Cart: 9 }, "k%2A"), 0))
    assert.isEmpty(answered(one, at({ Cart: 9 }, "k%2A")))
    assert.strictEqual(one.ask("b", "shop.Cart.3.7.other", at({ Cart: 9 }, "k%2A"), 0), "done")
    assert.deepStrictEqual(answered(one, at({ Cart: 9 }, "other")), ["a"])
  })

  it("is refused at once where the subscriber never comes past", () => {
    const code = (token: string, subscriber = carts) =>
      JSON.parse(waits(subscriber).ask("a", token, at({ Cart: 7, Desk: 7 }), 0)!).code
    assert.strictEqual(code("shop.Desk.3.7.k"), "TRP0215")
    assert.strictEqual(code("other.Cart.3.7.k"), "TRP0215")
    assert.strictEqual(code("shop.Cart.4.7.k"), "TRP0214", "of another partition")
    assert.strictEqual(code("shop.Cart.3"), "TRP0214")
    const both = carts.on(Shop.Desk.events.called, () => {})
    assert.strictEqual(waits(both).ask("a", "shop.Desk.3.7.k", at({ Desk: 7 }), 0), "done")
  })

  it("is forgotten after 5 s without asking again, and not by who still asks", () => {
    const one = waits()
    const ask = (caller: string, now: number) => one.ask(caller, "shop.Cart.3.7.k", at({ Cart: 1 }), now)
    ask("gone", 0)
    ask("asks", 0)
    ask("asks", 1_000)
    assert.isEmpty(answered(one, at({ Cart: 1 }), 5_000))
    assert.deepStrictEqual([...one.callers], ["gone", "asks"])
    assert.isEmpty(answered(one, at({ Cart: 1 }), 6_000))
    assert.deepStrictEqual([...one.callers], ["asks"])
    ask("late", 6_001)
    assert.deepStrictEqual([...one.callers], ["late"])
  })

  it("is refused as one of too many, until others have given up or been answered", () => {
    const one = waits()
    const ask = (caller: string, now: number, position = 7) =>
      one.ask(caller, `shop.Cart.3.${position}.k`, at({ Cart: 1 }), now)
    for (let i = 0; i < 1_000; i++) assert.isUndefined(ask(`early ${i}`, 0))
    assert.strictEqual(JSON.parse(ask("late", 4_000)!).code, "TRP0311")
    assert.isUndefined(ask("early 3", 4_000), "who asks again keeps the place")
    assert.strictEqual([...one.callers].length, 1_000)
    assert.isUndefined(ask("late", 6_000))
    assert.deepStrictEqual([...one.callers].sort(), ["early 3", "late"])
    assert.deepStrictEqual([...answered(one, at({ Cart: 7 }))].sort(), ["early 3", "late"])
    assert.isEmpty([...one.callers])
  })
})
