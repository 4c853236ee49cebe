import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { databaseUrl, json, natsCreds, natsUrl } from "./flags.ts"

const show = Command.make(
  "show",
  {
    service: Flag.String("service").pipe(
      Flag.withDescription("The service whose streams are looked at. Default: the one that the database names"),
      Flag.withMetavar("NAME"),
      Flag.optional
    ),
    natsUrl,
    natsCreds,
    databaseUrl,
    json
  },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../identity/show.ts")),
      ({ show }) => show(options)
    )
).pipe(
  Command.withDescription(
    "Show which service a database belongs to, and which database the streams of the service do. Exits with 1 when they do not belong " +
      "together."
  ),
  Command.withExamples([{ command: "troupe identity show", description: "Of DATABASE_URL and NATS_URL" }])
)

const move = Command.make(
  "move",
  {
    service: Flag.String("service").pipe(
      Flag.withDescription("The service that gets the database and the streams"),
      Flag.withMetavar("NAME")
    ),
    yes: Flag.Boolean("yes").pipe(
      Flag.withDescription("Do it; without it the command only says what it would do, and exits with 1"),
      Flag.withDefault(false)
    ),
    natsUrl,
    natsCreds,
    databaseUrl,
    json
  },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../identity/move.ts")),
      ({ move }) => move(options)
    )
).pipe(
  Command.withDescription(
    "Give the database that DATABASE_URL names to a service, and the streams of the service to that database. Hosts that still run on " +
      "another database stop handling within seconds: they stay alive, say TRP0420 or TRP0512, and answer 503 at /readyz until they " +
      "are started with the right pair. A database without the cursors of these streams reads them from the beginning."
  ),
  Command.withShortDescription("Join a database and streams on purpose"),
  Command.withExamples([{ command: "troupe identity move --service orders --yes" }])
)

export const identity = Command.make("identity").pipe(
  Command.withDescription(
    "Look at which database and which streams belong together, and move them. A host refuses a pair that does not: TRP0420, TRP0512."
  ),
  Command.withShortDescription("Which database and streams belong together"),
  Command.withSubcommands([show, move])
)
