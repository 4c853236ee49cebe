import * as Command from "effect/cli/Command"
import { consumers } from "./commands/consumers.ts"
import { contract } from "./commands/contract.ts"
import { dead } from "./commands/dead.ts"
import { dev } from "./commands/dev.ts"
import { doctor } from "./commands/doctor.ts"
import { identity } from "./commands/identity.ts"
import { migrate } from "./commands/migrate.ts"
import { permissions } from "./commands/permissions.ts"
import { run } from "./commands/run.ts"
import { streams } from "./commands/streams.ts"

/** `troupe`. What a command needs is loaded when it runs, so that the others start fast. */
export const troupe = Command.make("troupe").pipe(
  Command.withDescription(
    "Run services of actors on PostgreSQL and NATS JetStream. Flags go before the environment; no command asks questions."
  ),
  Command.withSubcommands([dev, run, migrate, doctor, streams, dead, consumers, identity, contract, permissions]),
  Command.withExamples([
    { command: "troupe dev", description: "Run every service on this machine" },
    { command: "troupe doctor", description: "Check the servers" },
    { command: "troupe --completions bash", description: "Also zsh, fish and powershell" }
  ])
)
