import { describe, it } from "@effect/vitest"
import { OrderId, Orders } from "@shop/orders"
import { Payments } from "@shop/payments"
import { Shipping } from "@shop/shipping"
import { given } from "@troupe/testing"
import { fulfilment } from "../src/fulfilment.ts"

const id = OrderId.make("o-1")
const placed = Orders.Order.events.placed.from(id, { cents: 900, currency: "EUR", customer: "ada" })
const authorized = Payments.Payment.events.authorized.from(id, { cents: 900 })
const dispatch = Shipping.Shipment.at(id).dispatch({ cents: 900 })
const settle = Orders.Order.at(id).settle()
const nothing = { placed: false, paid: false, cancelled: false, cents: 0 }

describe("fulfilment", () => {
  it.effect("waits for the payment when the order comes first", () =>
    given(fulfilment)
      .when(placed)
      .expect({ state: { ...nothing, placed: true, cents: 900 }, sent: [] })
  )

  it.effect("settles what is paid, and waits for the order when the payment comes first", () =>
    given(fulfilment)
      .when(authorized)
      .expect({ state: { ...nothing, paid: true }, sent: [settle] })
  )

  it.effect("ships when the payment comes after the order", () =>
    given(fulfilment, { ...nothing, placed: true, cents: 900 })
      .when(authorized)
      .expect({ sent: [settle, dispatch] })
  )

  it.effect("ships when the order comes after the payment", () =>
    given(fulfilment, { ...nothing, paid: true })
      .when(placed)
      .expect({ sent: [dispatch] })
  )

  it.effect("cancels an order that cannot be paid", () =>
    given(fulfilment)
      .when(Payments.Payment.events.declined.from(id, { reason: "card" }))
      .expect({ sent: [Orders.Order.at(id).cancel({ reason: "card" })] })
  )

  it.effect("does not ship what was cancelled before it was paid", () =>
    given(fulfilment, { ...nothing, placed: true, cancelled: true, cents: 900 })
      .when(authorized)
      .expect({ sent: [settle] })
  )
})
