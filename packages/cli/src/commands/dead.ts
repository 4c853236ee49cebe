import { userInfo } from "node:os"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { databaseUrl, json } from "./flags.ts"

const service = Flag.String("service").pipe(
  Flag.withDescription("Use the database that troupe dev made for this service, on the server of DATABASE_URL"),
  Flag.withMetavar("NAME"),
  Flag.optional
)

const code = Flag.String("code").pipe(
  Flag.withDescription("Only those with this code"),
  Flag.withMetavar("CODE"),
  Flag.optional
)
const consumer = Flag.String("consumer").pipe(
  Flag.withDescription("Only those of this actor or subscriber, as list shows it"),
  Flag.withMetavar("NAME"),
  Flag.optional
)

const list = Command.make(
  "list",
  {
    service,
    code,
    consumer,
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

const seconds = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3_600 }))
const who = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(200))
/** The name of whoever runs this. A user without a name, as in some containers, has its number. */
const user = (): string => {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`
  }
}

const wish = (kind: "redrive" | "discard") =>
  Command.make(
    kind,
    {
      ids: Argument.Int("id").pipe(Argument.withDescription("As list shows it"), Argument.variadic()),
      all: Flag.Boolean("all").pipe(
        Flag.withDescription("All of them, or all that --code and --consumer leave"),
        Flag.withDefault(false)
      ),
      code,
      consumer,
      by: Flag.String("by").pipe(
        Flag.withDescription("Who wishes it, for the record. Default: the user who runs this"),
        Flag.withMetavar("NAME"),
        Flag.withSchema(who),
        Flag.withDefault(user())
      ),
      timeout: Flag.Int("timeout").pipe(
        Flag.withDescription("Wait at most so many seconds; what is not done by then is done later"),
        Flag.withMetavar("SECONDS"),
        Flag.withSchema(seconds),
        Flag.withDefault(10)
      ),
      service,
      databaseUrl,
      json
    },
    (options) =>
      Effect.flatMap(
        Effect.promise(() => import("../dead/wish.ts")),
        ({ wish }) => wish(kind, options)
      )
  )

const redrive = wish("redrive").pipe(
  Command.withDescription(
    "Have messages that were given up handled once more, each under a new id, by the service that owns them. Asks nothing. " +
      "Exits with 1 when one was not."
  ),
  Command.withShortDescription("Have messages that were given up handled once more"),
  Command.withExamples([
    { command: "troupe dead redrive 17 18", description: "Two of them" },
    { command: "troupe dead redrive --all --code TRP0301", description: "All that failed in their handlers" }
  ])
)
const discard = wish("discard").pipe(
  Command.withDescription(
    "Have messages that were given up deleted for good, by the service that owns them. Asks nothing. Exits with 1 when one was not."
  ),
  Command.withShortDescription("Have messages that were given up deleted for good"),
  Command.withExamples([{ command: "troupe dead discard 17 --by ada", description: "One of them" }])
)

export const dead = Command.make("dead").pipe(
  Command.withDescription("Look at dead letters, messages that were given up, and have them handled again or deleted."),
  Command.withShortDescription("Messages that were given up: look, redrive, discard"),
  Command.withSubcommands([list, show, redrive, discard])
)
