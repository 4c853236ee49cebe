import type { OrderId } from "@shop/orders"
import { DbError, Sql } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { At } from "./progress.ts"

/** What became of the acknowledged orders, as the orders service has stored it. */
export interface Summary {
  readonly placed: number
  readonly paid: number
  /** Cancelled, because payment was declined. */
  readonly refused: number
  readonly shipped: number
  /** Orders that are neither shipped nor cancelled, or lack an event on their way there. */
  readonly lost: number
  /** Orders with an event that was handled more than once. */
  readonly repeated: number
  /** Events that were handled after a later one of the same order and lane. */
  readonly outOfOrder: number
}

/** Reads the summary of these orders from `app.overview` and `app.journal`. Other orders are not looked at. */
export const read = Effect.fn("customers.summary")(function* (
  acknowledged: ReadonlyArray<OrderId>
): Effect.fn.Return<Summary, DbError, Sql> {
  const sql = yield* Sql
  const [counts] = yield* Effect.tryPromise({
    try: async () =>
      await sql<[Omit<Summary, "lost"> & { readonly complete: number; readonly acknowledged: number }]>`
      with acknowledged as (select distinct unnest(${acknowledged}::text[]) as order_id),
      orders as (select * from app.overview join acknowledged using (order_id)),
      steps as (select * from app.journal join acknowledged using (order_id)),
      way (status, step) as (values
        ('shipped', 'orders.Order.placed'),
        ('shipped', 'payments.Payment.authorized'),
        ('shipped', 'shipping.Shipment.dispatched'),
        ('cancelled', 'orders.Order.placed'),
        ('cancelled', 'payments.Payment.declined'),
        ('cancelled', 'orders.Order.cancelled')),
      complete as (
        select order_id from orders join way using (status) join steps using (order_id, step)
        group by order_id having count(distinct step) = 3),
      repeated as (select order_id from steps group by order_id, step having count(*) > 1),
      positions as (select position < lag(position) over (partition by order_id, lane order by id) as falls from steps)
      select
        (select count(*) from acknowledged)::int as acknowledged,
        (select count(*) from orders)::int as placed,
        (select count(*) from orders where status in ('paid', 'shipped'))::int as paid,
        (select count(*) from orders where status = 'cancelled')::int as refused,
        (select count(*) from orders where status = 'shipped')::int as shipped,
        (select count(*) from complete)::int as complete,
        (select count(distinct order_id) from repeated)::int as repeated,
        (select count(*) from positions where falls)::int as "outOfOrder"`,
    catch: (cause) => new DbError({ cause })
  })
  const { placed, paid, refused, shipped, repeated, outOfOrder } = counts
  return { placed, paid, refused, shipped, lost: counts.acknowledged - counts.complete, repeated, outOfOrder }
})

/** Reads the summary until none of the orders is on its way any more, for a minute at most: then what is, is lost. */
export const whenFinal = (acknowledged: ReadonlyArray<OrderId>, at: At): Effect.Effect<Summary, DbError, Sql> =>
  read(acknowledged).pipe(
    Effect.retry({ times: 10, schedule: Schedule.spaced("1 second") }),
    Effect.tap(({ lost }) => at(acknowledged.length - lost)),
    Effect.repeat({
      until: ({ lost }) => lost === 0,
      schedule: Schedule.spaced("250 millis").pipe(Schedule.upTo({ duration: "1 minute" }))
    })
  )
