import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { databaseUrl, json, natsCreds, natsUrl } from "./flags.ts"

const list = Command.make("list", { natsUrl, natsCreds, databaseUrl, json }, (options) =>
  Effect.flatMap(
    Effect.promise(() => import("../consumers/list.ts")),
    ({ list }) => list(options)
  )
).pipe(
  Command.withDescription(
    "List the actors and subscribers that a database knows: how many living hosts run each, and what waits for it. " +
      "Counts in Postgres stop at 10,000."
  ),
  Command.withShortDescription("Actors and subscribers, and what waits for them"),
  Command.withExamples([{ command: "troupe consumers list", description: "Of DATABASE_URL and NATS_URL" }])
)

const remove = Command.make(
  "remove",
  {
    name: Argument.String("name").pipe(Argument.withDescription("As list shows it: orders.Order")),
    yes: Flag.Boolean("yes").pipe(
      Flag.withDescription("Do it; without it the command only says what it would delete, and exits with 1"),
      Flag.withDefault(false)
    ),
    natsUrl,
    natsCreds,
    databaseUrl,
    json
  },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../consumers/remove.ts")),
      ({ remove }) => remove(options)
    )
).pipe(
  Command.withDescription(
    "Delete an actor or subscriber that was removed from the code, for good: its states, timers, parked and dead messages, what of " +
      "its outbox is left, and all commands of the actor, handled or not. Refused while a living host runs it."
  ),
  Command.withShortDescription("Delete what a removed actor or subscriber left"),
  Command.withExamples([{ command: "troupe consumers remove orders.Coupon --yes" }])
)

export const consumers = Command.make("consumers").pipe(
  Command.withDescription("Look at the actors and subscribers of a service, and delete what removed ones left."),
  Command.withShortDescription("Actors and subscribers: list, remove"),
  Command.withSubcommands([list, remove])
)
