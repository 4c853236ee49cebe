import { Payments } from "@shop/payments"
import { Actor } from "@troupe/actor"
import * as Schema from "effect/Schema"

export class PaymentState extends Schema.Class<PaymentState>("PaymentState")({
  status: Schema.Literals(["none", "authorized", "declined"])
}) {}

/** What a customer may owe for one order. */
export const limit = 50_000

/** Plain functions all through: staging needs no Effect. */
export const payment = Actor.make(Payments.Payment, {
  state: PaymentState,
  initial: { status: "none" }
}).commands({
  authorize({ cents }, self) {
    if (self.state.status !== "none") return
    if (cents > limit) {
      self.set({ status: "declined" })
      self.emit.declined({ reason: `more than ${limit} cents` })
    } else {
      self.set({ status: "authorized" })
      self.emit.authorized({ cents })
    }
  }
})
