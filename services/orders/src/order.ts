import { AlreadyPlaced, Orders, OutOfStock } from "@shop/orders"
import { Payments } from "@shop/payments"
import { Actor } from "@troupe/actor"
import * as Schema from "effect/Schema"

export class OrderState extends Schema.Class<OrderState>("OrderState")({
  status: Schema.Literals(["empty", "placed", "cancelled"]),
  cents: Schema.Int
}) {}

/** An article that the shop lists and never has. */
const soldOut = "unobtainium"

/** How long an order waits to be paid. */
export const patience = "15 minutes"

/** Placed once, paid by the payments service, cancelled by whoever asks and when it is not paid in time. */
export const order = Actor.make(Orders.Order, {
  state: OrderState,
  initial: { status: "empty", cents: 0 },
  sends: [Payments.Payment]
}).commands({
  *place({ customer, lines }, self) {
    if (self.state.status !== "empty") return yield* new AlreadyPlaced()
    if (lines.some((line) => line.sku === soldOut)) return yield* new OutOfStock({ sku: soldOut })
    const cents = lines.reduce((sum, line) => sum + line.quantity * line.cents, 0)
    self.set({ status: "placed", cents })
    self.emit.placed({ cents, currency: "EUR", customer })
    self.send(Payments.Payment.at(self.key).authorize({ cents }))
    self.timer("unpaid", patience, Orders.Order.at(self.key).cancel({ reason: `not paid within ${patience}` }))
    return { cents }
  },
  cancel({ reason }, self) {
    if (self.state.status !== "placed") return
    self.set({ ...self.state, status: "cancelled" })
    self.cancelTimer("unpaid")
    self.emit.cancelled({ reason })
  },
  settle(_, self) {
    self.cancelTimer("unpaid")
  },
  status: (_, self) => self.state.status
})
