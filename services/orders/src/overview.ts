import { Orders } from "@shop/orders"
import { Payments } from "@shop/payments"
import { Shipping } from "@shop/shipping"
import { Subscriber } from "@troupe/actor"
import { Db } from "@troupe/postgres"
import { inArray } from "drizzle-orm"
import * as Effect from "effect/Effect"
import { overview as table } from "./tables.ts"

type Status = typeof table.$inferSelect.status

/**
 * The projection `app.overview`. The three services' events come in any order among each other, so a status is only ever
 * left for one that follows it.
 */
export const overview = Subscriber.make("overview")
  .on(Orders.Order.events.placed, function* ({ key, payload: { customer, cents } }) {
    const db = yield* Db
    yield* db
      .query((tx) =>
        tx
          .insert(table)
          .values({ orderId: key, customer, cents, status: "placed" })
          .onConflictDoUpdate({ target: table.orderId, set: { customer, cents } })
      )
      .pipe(Effect.orDie)
  })
  .on(Payments.Payment.events.authorized, ({ key }) => reach(key, "paid", ["placed"]))
  .on(Shipping.Shipment.events.dispatched, ({ key }) => reach(key, "shipped", ["placed", "paid"]))
  .on(Orders.Order.events.cancelled, ({ key }) => reach(key, "cancelled", ["placed", "paid"]))

/** Takes the order from one of the statuses `from` to `status`; otherwise it stays as it is. */
const reach = Effect.fnUntraced(function* (orderId: string, status: Status, from: ReadonlyArray<Status>) {
  const db = yield* Db
  yield* db
    .query((tx) =>
      tx
        .insert(table)
        .values({ orderId, status })
        .onConflictDoUpdate({ target: table.orderId, set: { status }, setWhere: inArray(table.status, from) })
    )
    .pipe(Effect.orDie)
})
