// A program that uses a client and closes it. If anything of it stayed, Node would not end.
import * as Node from "@troupe/client/node"
import * as Web from "@troupe/client"
import { Shop } from "./shelf.ts"

const [transport, servers = ""] = process.argv.slice(2)
const { connect } = transport === "ws" ? Web : Node
const tea = Shop.Shelf.at("tea")
const shop = await connect({ servers })
await shop.send(tea.clear())
const heard = (async () => {
  for await (const _ of shop.subscribe(Shop.Shelf.events.taken));
})().catch(() => {})
const asked = shop.ask(tea.take({ n: 1 }), { timeout: "1 hour" }).catch((error: Node.ClientError) => error.message)
const never = connect({ servers: "nats://127.0.0.1:1", timeout: "50 millis" }).catch(
  (error: Node.ClientError) => error.message
)
process.on("message", async () => {
  process.disconnect?.()
  await shop[Symbol.asyncDispose]()
  await heard
  process.stdout.write(`${await never}\n${await asked}\n`)
})
process.send?.("under way")
