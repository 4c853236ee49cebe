// A service that tries what it does not declare: by a cast, and on a connection of its own as its own user.
import { connect } from "@nats-io/transport-node"
import { Actor } from "@troupe/actor"
import { Service } from "@troupe/service"
import * as Schema from "effect/Schema"
import { CliBank, CliThief } from "./contract.ts"

const thief = Actor.make(CliThief.Thief, { state: Schema.Void, initial: undefined }).commands({
  steal(_, self) {
    self.send(CliBank.Safe.at("s").open() as never)
  },
  send: () => {},
  async forge() {
    const { host, password, username } = new URL(process.env["NATS_URL"] ?? "")
    const nc = await connect({ servers: host, user: username, pass: password })
    const refused = (async () => {
      for await (const status of nc.status()) if (status.type === "error") return String(status.error)
    })()
    nc.publish("evt.cli-bank.Safe.opened.s", "{}")
    console.error(`as ${username}: ${await refused}`)
    await nc.close()
  }
})

export default Service.make(CliThief, { actors: [thief] })
