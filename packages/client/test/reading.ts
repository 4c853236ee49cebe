// A program with a durable subscription, which says what it has handled. It is meant to be killed.
import { connect } from "@troupe/client/node"
import { Shop } from "./shelf.ts"

const [servers = ""] = process.argv.slice(2)
const shop = await connect({ servers, name: "web" })
for await (const event of shop.subscribe(Shop.Shelf.events.taken, { durable: "billing", from: "start" }))
  await new Promise((resolve) => process.send!(event.payload.n, resolve))
