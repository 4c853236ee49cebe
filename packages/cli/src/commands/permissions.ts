import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { json } from "./flags.ts"

const keys = Flag.String("keys").pipe(
  Flag.withDescription("The folder of the keys, which are secret. Default: one below ~/.config/troupe"),
  Flag.withMetavar("DIR"),
  Flag.optional
)
const name = Argument.String("name").pipe(Argument.withDescription("A service, or a caller"))

const token = Command.make(
  "token",
  {
    name,
    keys,
    ttl: Flag.String("ttl").pipe(
      Flag.withDescription("How long the user may connect: 90s, 15m, 1h and the like"),
      Flag.withMetavar("TIME"),
      Flag.withDefault("1h")
    ),
    operator: Flag.Boolean("operator").pipe(
      Flag.withDescription(
        "For a person or a deployment: everything within the account, not only what the program may"
      ),
      Flag.withDefault(false)
    ),
    out: Flag.String("out").pipe(
      Flag.withDescription(
        "Write it to this file, in one piece and readable by its owner only; - prints it. Default: a file below ~/.config/troupe"
      ),
      Flag.withMetavar("FILE"),
      Flag.optional
    ),
    json
  },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../permissions/token.ts")),
      ({ token }) => token(options)
    )
).pipe(
  Command.withDescription("Issue a user of the account of a service or a caller, for a limited time, as a creds file."),
  Command.withShortDescription("Issue credentials for a limited time"),
  Command.withExamples([
    {
      command: "troupe permissions token orders",
      description: "Write a file for NATS_CREDS, renewed by running it again"
    }
  ])
)

const revoke = Command.make("revoke", { name, keys, json }, (options) =>
  Effect.flatMap(
    Effect.promise(() => import("../permissions/revoke.ts")),
    ({ revoke }) => revoke(options)
  )
).pipe(
  Command.withDescription(
    "Have all credentials of an account that were issued until now refused, by the next configuration."
  ),
  Command.withShortDescription("Have issued credentials refused"),
  Command.withExamples([{ command: "troupe permissions revoke orders" }])
)

export const permissions = Command.make(
  "permissions",
  {
    files: Argument.String("file").pipe(
      Argument.withDescription(
        "Files whose default export is a service or a caller. Default: services/*/src/main.ts and services/*/src/caller.ts"
      ),
      Argument.variadic()
    ),
    format: Flag.Literals("format", ["nats", "jwt", "sql", "deno"]).pipe(
      Flag.withDescription(
        "What is printed: users of nats-server in one account, accounts of nats-server, roles of PostgreSQL, or flags of Deno"
      ),
      Flag.optional
    ),
    keys: keys.pipe(
      Flag.withDescription(
        "With --format jwt: print the configuration of a nats-server, signed with the keys of this folder; those that are missing are made"
      )
    ),
    signed: Flag.Boolean("signed").pipe(
      Flag.withDescription("With --format jwt: the same with the keys of a folder below ~/.config/troupe"),
      Flag.withDefault(false)
    ),
    check: Flag.Boolean("check").pipe(
      Flag.withDescription("Exit with 1, and a diff, when the files in infra/policy are not these"),
      Flag.withDefault(false)
    ),
    write: Flag.Boolean("write").pipe(
      Flag.withDescription("Write the files in infra/policy, for review"),
      Flag.withDefault(false)
    ),
    json
  },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../permissions/permissions.ts")),
      ({ permissions }) => permissions(options)
    )
).pipe(
  Command.withDescription(
    "Compile what services and callers declare into the least that NATS, PostgreSQL and Deno must allow. " +
      "Without --check and --write it prints one format."
  ),
  Command.withShortDescription("Compile who may do what"),
  Command.withSubcommands([token, revoke]),
  Command.withExamples([
    { command: "troupe permissions --check", description: "Whether the committed policy is what the code declares" },
    { command: "troupe permissions services/orders/src/main.ts --format sql", description: "One service's role" }
  ])
)
