import { Caller } from "@troupe/permissions"
import { CliThief } from "./contract.ts"

export default Caller.make("cli-robber", { sends: [CliThief.Thief.commands.forge, CliThief.Thief.commands.steal] })
