import { Orders } from "@shop/orders"
import { Payments } from "@shop/payments"
import { Shipping } from "@shop/shipping"
import { Subscriber } from "@troupe/actor"
import type { Event } from "@troupe/contract"
import { Db } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import { journal as table } from "./tables.ts"

const append = Effect.fnUntraced(function* ({ key, lane, position, type }: Event) {
  const db = yield* Db
  yield* db.query((tx) => tx.insert(table).values({ orderId: key, step: type, lane, position })).pipe(Effect.orDie)
})

/** Appends every event of an order to `app.journal`: what was handled twice, or out of order, can be read there. */
export const journal = Subscriber.make("journal")
  .on(Orders.Order.events.placed, append)
  .on(Orders.Order.events.cancelled, append)
  .on(Payments.Payment.events.authorized, append)
  .on(Payments.Payment.events.declined, append)
  .on(Shipping.Shipment.events.dispatched, append)
