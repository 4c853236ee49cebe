import { Payments } from "@shop/payments"
import { Service } from "@troupe/service"
import { payment } from "./payment.ts"

export default Service.make(Payments, { actors: [payment] })
