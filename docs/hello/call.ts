import { connect } from "@troupe/client/node"
import { Hello } from "./hello.ts"

await using client = await connect({ servers: process.env["NATS_URL"]! })
const greeter = Hello.Greeter.at("Hello")

console.log(await client.ask(greeter.greet({ name: "Ada" })))

const answer = await client.tryAsk(greeter.greet({ name: "" }))
if (!answer.ok) console.log(answer.error._tag)
