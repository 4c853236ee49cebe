import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { json } from "./flags.ts"

export const permissions = Command.make(
  "permissions",
  {
    files: Argument.String("file").pipe(
      Argument.withDescription(
        "Files whose default export is a service or a caller. Default: services/*/src/main.ts and services/*/src/caller.ts"
      ),
      Argument.variadic()
    ),
    format: Flag.Literals("format", ["nats", "sql", "deno"]).pipe(
      Flag.withDescription("What is printed: users of nats-server, roles of PostgreSQL, or flags of Deno"),
      Flag.optional
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
  Command.withExamples([
    { command: "troupe permissions --check", description: "Whether the committed policy is what the code declares" },
    { command: "troupe permissions services/orders/src/main.ts --format sql", description: "One service's role" }
  ])
)
