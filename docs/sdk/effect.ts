import { OrderId, Orders } from "@shop/orders"
import { ask } from "@troupe/client"
import * as Effect from "effect/Effect"

export const order = Effect.fn(
  function* (id: string) {
    const place = Orders.Order.at(OrderId.make(id)).place({
      customer: "ada",
      lines: [{ sku: "tea", quantity: 2, cents: 350 }]
    })
    const receipt = yield* ask(place, { id: `order-${id}`, timeout: "2 seconds" })
    return `${receipt.cents} cents`
  },
  Effect.catchTag("OutOfStock", ({ sku }) => Effect.succeed(`no ${sku} left`))
)
