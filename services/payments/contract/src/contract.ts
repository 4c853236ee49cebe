import { OrderId } from "@shop/orders"
import { Contract } from "@troupe/contract"
import * as Schema from "effect/Schema"

class Payment extends Contract.actor({
  key: OrderId,
  commands: { authorize: Contract.command({ payload: { cents: Schema.Int } }) },
  events: {
    authorized: Contract.event({ cents: Schema.Int }),
    declined: Contract.event({ reason: Schema.String })
  }
}) {}

/** Everything the payments service says. */
export const Payments = Contract.make("payments", { Payment })
