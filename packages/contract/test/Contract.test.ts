import { assert, describe, it } from "@effect/vitest"
import { Contract, type Encoded, Message } from "@troupe/contract"
import * as Schema from "effect/Schema"

class Full extends Schema.TaggedError<Full>()("Full", {}) {}
class Cart extends Contract.actor({
  key: Schema.String,
  commands: {
    add: Contract.command({ payload: { sku: Schema.String }, reply: Schema.Int, errors: [Full] }),
    empty: Contract.command({})
  },
  events: { added: Contract.event({ sku: Schema.String }), emptied: Contract.event() }
}) {}
const Carts = Contract.make("carts", { Cart }, { version: 4 })
const actor = (name: string) => () => Contract.make("carts", { [name]: Cart })
const command = (name: string) => () =>
  Contract.make("carts", { Cart: Contract.actor({ key: Schema.String, commands: { [name]: Contract.command({}) } }) })
const event = (name: string) => () =>
  Contract.make("carts", { Cart: Contract.actor({ key: Schema.String, events: { [name]: Contract.event() } }) })
const text = (encoded: Encoded): string => (encoded.ok ? encoded.text : assert.fail(encoded.why))

describe("a contract", () => {
  it("makes messages that know where they go and how they are written", () => {
    const message = Carts.Cart.at("c-1").add({ sku: "tea" })
    assert.isTrue(message instanceof Message)
    assert.strictEqual(message.to, "carts.Cart.add")
    assert.strictEqual(message.key, "c-1")
    assert.strictEqual(message.target.contract, 4)
    assert.strictEqual(text(message.target.payload.encode(message.payload)), '{"sku":"tea"}')
    assert.deepStrictEqual(message.target.reply.decode("3"), { ok: true, value: 3 })
    assert.isTrue(message.target.error.decode('{"_tag":"Full"}').ok)
    assert.deepStrictEqual(Carts.Cart.at("c-1").empty().payload, {})
  })

  it("writes no error that a command does not declare", () => {
    const { error } = Carts.Cart.at("c-1").add({ sku: "tea" }).target
    assert.strictEqual(text(error.encode(new Full())), '{"_tag":"Full"}')
    for (const other of [new Error("other"), {}, { _tag: "Other" }, undefined, null, "Full"])
      assert.isFalse(error.encode(other).ok)
    assert.isFalse(Carts.Cart.at("c-1").empty().target.error.encode(new Full()).ok)
  })

  it("prints and compares messages without their schemas", () => {
    assert.deepStrictEqual(Object.keys(Carts.Cart.at("c-1").empty()), ["to", "key", "payload"])
    assert.deepStrictEqual(Carts.Cart.at("c-1").empty(), Carts.Cart.at("c-1").empty())
  })

  it("makes events for tests, and knows its actors", () => {
    assert.deepStrictEqual(Carts.Cart.events.added.from("c-1", { sku: "tea" }), {
      type: "carts.Cart.added",
      key: "c-1",
      payload: { sku: "tea" }
    })
    assert.deepStrictEqual(
      Contract.actors(Carts).map(({ name }) => name),
      ["carts.Cart"]
    )
    assert.strictEqual(Carts["~service"], "carts")
    assert.strictEqual(Contract.make("carts", {})["~version"], 1)
  })

  it("refuses names that are no subject token", () => {
    for (const name of ["", "Orders", "or.ders", "or_ders", "9orders", "o rders", "orders>", "o".repeat(41)]) {
      assert.throws(() => Contract.make(name, {}), TypeError, "is no name for a service")
    }
    for (const name of ["", "cart", "~service", "Ca.rt", "Ca-rt", "C*", "C".repeat(61)])
      assert.throws(actor(name), TypeError, "is no name for a actor")
    for (const name of ["", "Add", "add.more", "add-more", "add*", "_add", "then", "a".repeat(61)]) {
      assert.throws(command(name), TypeError, "is no name for a message")
      assert.throws(event(name), TypeError, "is no name for a message")
    }
  })

  it("takes names that look like an object's own", () => {
    for (const name of ["constructor", "toString", "valueOf", "hasOwnProperty"]) {
      const odd = command(name)() as unknown as { readonly Cart: { at(key: string): Record<string, () => Message> } }
      assert.strictEqual(odd.Cart.at("k")[name]?.().to, `carts.Cart.${name}`)
    }
  })

  it("refuses versions that are no whole number above 0", () => {
    for (const version of [0, -1, 1.5, Number.NaN, 2 ** 60])
      assert.throws(() => Contract.make("carts", {}, { version }), TypeError)
  })
})
