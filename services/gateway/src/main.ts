import { OrderId, Orders } from "@shop/orders"
import { Payments } from "@shop/payments"
import { Shipping } from "@shop/shipping"
import { Gateway } from "@troupe/gateway"

export default Gateway.make({
  contracts: [Orders, Payments, Shipping],
  example: Orders.Order.at(OrderId.make("o-1")).place({
    customer: "ada",
    lines: [{ sku: "tea", quantity: 2, cents: 450 }]
  })
})
