import { describe, it } from "@effect/vitest"
import { AlreadyPlaced, Line, OrderId, Orders, OutOfStock } from "@shop/orders"
import { Payments } from "@shop/payments"
import { check, given } from "@troupe/testing"
import { order, patience } from "../src/order.ts"

const id = OrderId.make("o-1")
const me = Orders.Order.at(id)
const tea = new Line({ sku: "tea", quantity: 2, cents: 450 })
const place = me.place({ customer: "ada", lines: [tea] })
const unpaid = me.cancel({ reason: "not paid within 15 minutes" })

describe("an order", () => {
  it.effect("when placed, answers with the total and asks for the payment", () =>
    given(order)
      .when(place)
      .expect({
        reply: { cents: 900 },
        state: { status: "placed", cents: 900 },
        events: [Orders.Order.events.placed.from(id, { cents: 900, currency: "EUR", customer: "ada" })],
        sent: [Payments.Payment.at(id).authorize({ cents: 900 })],
        timers: [{ name: "unpaid", delay: patience, message: unpaid }]
      })
  )

  it.effect("is not placed twice", () =>
    given(order, { status: "placed", cents: 900 })
      .when(place)
      .expect({ error: new AlreadyPlaced(), events: [], sent: [], timers: [] })
  )

  it.effect("of what is sold out is refused, and can be placed again without it", () =>
    given(order)
      .when(me.place({ customer: "ada", lines: [tea, new Line({ sku: "unobtainium", quantity: 1, cents: 1 })] }))
      .expect({
        error: new OutOfStock({ sku: "unobtainium" }),
        state: { status: "empty", cents: 0 },
        events: [],
        sent: []
      })
  )

  it.effect("when cancelled, says why", () =>
    given(order, { status: "placed", cents: 900 })
      .when(me.cancel({ reason: "too dear" }))
      .expect({
        state: { status: "cancelled", cents: 900 },
        events: [Orders.Order.events.cancelled.from(id, { reason: "too dear" })],
        sent: [],
        cancelledTimers: ["unpaid"]
      })
  )

  it.effect("that stays unpaid is cancelled", () =>
    given(order, { status: "placed", cents: 900 })
      .when(unpaid)
      .expect({ events: [Orders.Order.events.cancelled.from(id, { reason: "not paid within 15 minutes" })] })
  )

  it.effect("when paid, waits no longer", () =>
    given(order, { status: "placed", cents: 900 })
      .when(me.settle())
      .expect({ state: { status: "placed", cents: 900 }, events: [], sent: [], cancelledTimers: ["unpaid"] })
  )

  it.effect("is cancelled once", () =>
    given(order, { status: "cancelled", cents: 900 })
      .when(me.cancel({ reason: "again" }))
      .expect({ events: [] })
  )

  it("tells its status, tested without Effect", () =>
    check(
      given(order, { status: "placed", cents: 900 }).when(me.status()).expect({ reply: "placed", events: [], sent: [] })
    ))
})
