import { OrderId, Orders } from "@shop/orders"
import { ClientError, connect } from "@troupe/client"

export const order = async (servers: string, id: string): Promise<string> => {
  await using shop = await connect({ servers, name: "web" })
  const place = Orders.Order.at(OrderId.make(id)).place({
    customer: "ada",
    lines: [{ sku: "tea", quantity: 2, cents: 350 }]
  })
  const answer = await shop.tryAsk(place, { id: `order-${id}`, timeout: "2 seconds" })
  if (answer.ok) return `${answer.reply.cents} cents`
  if (answer.error instanceof ClientError) throw answer.error
  return answer.error._tag === "OutOfStock" ? `no ${answer.error.sku} left` : "placed before"
}
