import { Contract } from "@troupe/contract"
import * as Schema from "effect/Schema"

class Thief extends Contract.actor({
  key: Schema.String,
  commands: { steal: Contract.command({}), forge: Contract.command({}), send: Contract.command({}) },
  events: {}
}) {}
export const CliThief = Contract.make("cli-thief", { Thief })

class Safe extends Contract.actor({
  key: Schema.String,
  commands: { open: Contract.command({}) },
  events: { opened: Contract.event({}) }
}) {}
export const CliBank = Contract.make("cli-bank", { Safe })
