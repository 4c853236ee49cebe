import { type OrderId, Orders, type OutOfStock, type Receipt } from "@shop/orders"
import { ask, type Client, type ClientError } from "@troupe/client"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Planned } from "./plan.ts"
import type { At } from "./progress.ts"

/** A message that was sent again got another receipt, or was refused because of what it had done the first time. */
export class HandledTwice extends Schema.TaggedError<HandledTwice>()("HandledTwice", { orderId: Schema.String }) {
  override get message(): string {
    return `the message that places order ${this.orderId} was handled twice: the same id did not get the same answer`
  }
}

/** What came back. */
export interface Placed {
  /** The orders with a receipt. */
  readonly acknowledged: ReadonlyArray<OrderId>
  /** How many were refused at once, with the typed error of the contract. */
  readonly outOfStock: number
  /** How many were sent a second time with the same id. */
  readonly sentTwice: number
}

type Failed = ClientError | HandledTwice

/** Places the orders, at most 64 at a time. Fails with `ClientError` when one is not answered within a minute. */
export const place = (planned: ReadonlyArray<Planned>, at: At): Effect.Effect<Placed, Failed, Client> => {
  let done = 0
  return Effect.forEach(planned, (order) => Effect.tap(one(order), () => at(++done)), { concurrency: 64 }).pipe(
    Effect.map((answers) => ({
      acknowledged: planned.flatMap(({ id }, i) => (answers[i] ? [id] : [])),
      outOfStock: answers.filter((acknowledged) => !acknowledged).length,
      sentTwice: planned.filter(({ again }) => again !== "never").length
    }))
  )
}

/** Whether the order got a receipt; if not, it was out of stock. */
const one = Effect.fn("customers.place")(
  function* ({ id, customer, lines, again }: Planned): Effect.fn.Return<boolean, Failed | OutOfStock, Client> {
    const message = Orders.Order.at(id).place({ customer, lines })
    // Long enough for a service to be killed and to come back: `ask` sends again by itself.
    const once: Effect.Effect<Receipt, Failed | OutOfStock, Client> = Effect.catchTag(
      ask(message, { id: `place-${id}`, timeout: "1 minute" }),
      "AlreadyPlaced",
      () => Effect.fail(new HandledTwice({ orderId: id }))
    )
    if (again === "never") yield* once
    else {
      const [first, second] = yield* Effect.all([once, once], { concurrency: again === "at once" ? 2 : 1 })
      if (first.cents !== second.cents) return yield* new HandledTwice({ orderId: id })
    }
    return true
  },
  Effect.catchTag("OutOfStock", () => Effect.succeed(false))
)
