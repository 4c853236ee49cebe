import { Orders } from "@shop/orders"
import { Shipping } from "@shop/shipping"
import { Service } from "@troupe/service"
import { fulfilment } from "./fulfilment.ts"
import { shipment } from "./shipment.ts"

export default Service.make(Shipping, {
  actors: [shipment],
  subscribers: [fulfilment],
  allow: { send: [Orders] }
})
