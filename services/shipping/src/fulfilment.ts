import { Orders } from "@shop/orders"
import { Payments } from "@shop/payments"
import { Shipping } from "@shop/shipping"
import { Subscriber } from "@troupe/actor"
import * as Schema from "effect/Schema"

export class Progress extends Schema.Class<Progress>("Progress")({
  placed: Schema.Boolean,
  paid: Schema.Boolean,
  cancelled: Schema.Boolean,
  cents: Schema.Int
}) {}

const ready = (progress: Progress): boolean => progress.placed && progress.paid && !progress.cancelled

/** The saga: settles what is paid, ships what is both placed and paid, cancels what cannot be paid. Events may come in any order. */
export const fulfilment = Subscriber.make("fulfilment", {
  state: Progress,
  initial: { placed: false, paid: false, cancelled: false, cents: 0 },
  sends: [Orders.Order, Shipping.Shipment]
})
  .on(Orders.Order.events.placed, ({ key, payload: { cents } }, self) => {
    self.set({ ...self.state, placed: true, cents })
    if (ready(self.state)) self.send(Shipping.Shipment.at(key).dispatch({ cents }))
  })
  .on(Payments.Payment.events.authorized, ({ key }, self) => {
    self.set({ ...self.state, paid: true })
    self.send(Orders.Order.at(key).settle())
    if (ready(self.state)) self.send(Shipping.Shipment.at(key).dispatch({ cents: self.state.cents }))
  })
  .on(Payments.Payment.events.declined, ({ key, payload: { reason } }, self) => {
    self.send(Orders.Order.at(key).cancel({ reason }))
  })
  .on(Orders.Order.events.cancelled, (_, self) => {
    self.set({ ...self.state, cancelled: true })
  })
