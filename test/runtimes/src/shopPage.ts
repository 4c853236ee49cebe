// What a page of another team has of Troupe: the contract of the shop, and a client that asks and subscribes.
import { connect } from "@troupe/client"
import { OrderId, Orders } from "@shop/orders"

const shop = await connect({ servers: "wss://nats.example" })
const receipt = await shop.ask(
  Orders.Order.at(OrderId.make("o-1")).place({ customer: "ada", lines: [{ sku: "tea", quantity: 1, cents: 450 }] })
)
console.log(receipt)
for await (const placed of shop.subscribe(Orders.Order.events.placed)) console.log(placed.payload)
