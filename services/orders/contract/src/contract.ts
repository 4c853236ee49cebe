import { Contract } from "@troupe/contract"
import * as Schema from "effect/Schema"

export const OrderId = Schema.String.pipe(Schema.brand("OrderId"))
export type OrderId = typeof OrderId.Type

/** So many of one article, at so many cents each. */
export class Line extends Schema.Class<Line>("Line")({
  sku: Schema.String,
  quantity: Schema.Int.check(Schema.isGreaterThan(0)),
  cents: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
}) {}

/** What an order costs. */
export class Receipt extends Schema.Class<Receipt>("Receipt")({ cents: Schema.Int }) {}

export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { sku: Schema.String }) {}
export class AlreadyPlaced extends Schema.TaggedError<AlreadyPlaced>()("AlreadyPlaced", {}) {}

class Order extends Contract.actor({
  key: OrderId,
  commands: {
    place: Contract.command({
      payload: {
        customer: Schema.String,
        lines: Schema.NonEmptyArray(Line),
        note: Schema.optionalKey(Schema.String)
      },
      reply: Receipt,
      errors: [OutOfStock, AlreadyPlaced]
    }),
    cancel: Contract.command({ payload: { reason: Schema.String } }),
    /** It is paid: nothing waits for that any more. */
    settle: Contract.command({}),
    status: Contract.command({ reply: Schema.Literals(["empty", "placed", "cancelled"]) })
  },
  events: {
    placed: Contract.event({ cents: Schema.Int }).next(
      { cents: Schema.Int, currency: Schema.String, customer: Schema.String },
      ({ cents }) => ({ cents, currency: "EUR", customer: "unknown" })
    ),
    cancelled: Contract.event({ reason: Schema.String })
  }
}) {}

/** Everything the orders service says. */
export const Orders = Contract.make("orders", { Order })
