import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { databaseUrl, json } from "./flags.ts"

const service = Flag.String("service").pipe(
  Flag.withDescription("Look into the database that troupe dev made for this service, on the server of DATABASE_URL"),
  Flag.withMetavar("NAME"),
  Flag.optional
)

const list = Command.make(
  "list",
  {
    service,
    limit: Flag.Int("limit").pipe(
      Flag.withDescription("At most so many, the newest first"),
      Flag.withMetavar("N"),
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 }))),
      Flag.withDefault(50)
    ),
    databaseUrl,
    json
  },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../dead/list.ts")),
      ({ list }) => list(options)
    )
).pipe(
  Command.withDescription("List messages that were given up, the newest first."),
  Command.withExamples([
    { command: "troupe dead list", description: "Of the service whose database DATABASE_URL names" },
    { command: "troupe dead list --service orders --limit 10 --json", description: "Of one service of troupe dev" }
  ])
)

const show = Command.make(
  "show",
  { id: Argument.Int("id").pipe(Argument.withDescription("As list shows it")), service, databaseUrl, json },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../dead/show.ts")),
      ({ show }) => show(options)
    )
).pipe(
  Command.withDescription(
    "Show one message that was given up: why, its headers and its payload (at most 64 KiB of it)."
  ),
  Command.withExamples([{ command: "troupe dead show 17" }])
)

export const dead = Command.make("dead").pipe(
  Command.withDescription("Look at dead letters: messages that were tried three times and given up."),
  Command.withShortDescription("Look at messages that were given up"),
  Command.withSubcommands([list, show])
)
