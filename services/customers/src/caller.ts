import { Orders } from "@shop/orders"
import { Caller } from "@troupe/permissions"

/** What the load may do: place orders. */
export default Caller.make("customers", { sends: [Orders.Order.commands.place] })
