import { connect } from "@troupe/client/node"
import { CliThief } from "./contract.ts"

const thief = CliThief.Thief.at("t")
await using shop = await connect({ servers: process.env["NATS_URL"] ?? "", inboxPrefix: "_INBOX.cli-robber" })
await shop.ask(thief.forge())
// The command of a handler that sends what nobody declares is rejected; the other is one that no caller declares.
for (const message of [thief.steal(), thief.send()]) {
  const answer = await shop.tryAsk(message)
  console.error(answer.ok ? "allowed" : String(answer.error))
}
