import { Orders } from "@shop/orders"
import { connect } from "@troupe/client"

export const billing = async (servers: string, bill: (id: string, key: string, cents: number) => Promise<void>) => {
  await using shop = await connect({ servers, name: "web" })
  for await (const event of shop.subscribe(Orders.Order.events.placed, { durable: "billing", from: "start" }))
    await bill(event.id, event.key, event.payload.cents)
}
