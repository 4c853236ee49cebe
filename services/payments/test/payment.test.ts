import { describe, it } from "@effect/vitest"
import { OrderId } from "@shop/orders"
import { Payments } from "@shop/payments"
import { given } from "@troupe/testing"
import { limit, payment } from "../src/payment.ts"

const id = OrderId.make("o-1")
const me = Payments.Payment.at(id)

describe("a payment", () => {
  it.effect("up to the limit is authorized", () =>
    given(payment)
      .when(me.authorize({ cents: limit }))
      .expect({
        state: { status: "authorized" },
        events: [Payments.Payment.events.authorized.from(id, { cents: limit })]
      })
  )

  it.effect("above the limit is declined", () =>
    given(payment)
      .when(me.authorize({ cents: limit + 1 }))
      .expect({
        state: { status: "declined" },
        events: [Payments.Payment.events.declined.from(id, { reason: "more than 50000 cents" })]
      })
  )

  it.effect("is decided once", () =>
    given(payment, { status: "declined" })
      .when(me.authorize({ cents: 1 }))
      .expect({ state: { status: "declined" }, events: [] })
  )
})
