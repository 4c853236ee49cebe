// @effect-diagnostics missingEffectError:off
import { assert, describe, it } from "@effect/vitest"
import { type AlreadyPlaced, Line, OrderId, Orders, type OutOfStock, type Receipt } from "@shop/orders"
import { EventWire, type Message } from "@troupe/contract"

const order = Orders.Order.at(OrderId.make("o-1"))

describe("the contract of the orders service", () => {
  it("makes a message that knows its reply and its errors", () => {
    const message = order.place({ customer: "ada", lines: [new Line({ sku: "tea", quantity: 2, cents: 450 })] })
    const typed: Message<"orders.Order.place", Receipt, OutOfStock | AlreadyPlaced> = message
    // @ts-expect-error an undeclared error is none of its errors
    const untyped: Message<"orders.Order.place", Receipt, OutOfStock> = message
    assert.strictEqual(typed.to, "orders.Order.place")
    assert.strictEqual(untyped.key, "o-1")
  })

  it("refuses a line of nothing", () => {
    const { target } = order.place({ customer: "ada", lines: [new Line({ sku: "tea", quantity: 1, cents: 1 })] })
    const written = target.payload.encode({ customer: "ada", lines: [{ sku: "tea", quantity: 0, cents: 450 }] })
    assert.isFalse(written.ok)
  })

  it("reads a placed event of the first version as one of today", () => {
    const placed = EventWire.make(Orders.Order.events.placed.definition)
    assert.deepStrictEqual(placed.decode('{"cents":900}', 1), {
      ok: true,
      value: { cents: 900, currency: "EUR", customer: "unknown" }
    })
  })
})
