import { Orders } from "@shop/orders"
import { Payments } from "@shop/payments"
import { Service } from "@troupe/service"
import { journal } from "./journal.ts"
import { order } from "./order.ts"
import { overview } from "./overview.ts"

export default Service.make(Orders, {
  actors: [order],
  subscribers: [overview, journal],
  allow: { send: [Payments] }
})
