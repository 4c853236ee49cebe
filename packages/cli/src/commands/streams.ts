import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { json, natsCreds, natsUrl } from "./flags.ts"
import { changes } from "./limits.ts"

const service = Flag.String("service").pipe(
  Flag.withDescription("Only the streams of this service. Default: of all"),
  Flag.withMetavar("NAME"),
  Flag.optional
)

const list = Command.make("list", { service, natsUrl, natsCreds, json }, (options) =>
  Effect.flatMap(
    Effect.promise(() => import("../streams/streams.ts")),
    ({ list }) => list(options)
  )
).pipe(
  Command.withDescription("List the streams of services: what they hold, their limits, and when they will be full."),
  Command.withExamples([{ command: "troupe streams list --json", description: "For a program" }])
)

const set = Command.make("set", { service, ...changes, natsUrl, natsCreds, json }, (options) =>
  Effect.flatMap(
    Effect.promise(() => import("../streams/streams.ts")),
    ({ set }) => set(options)
  )
).pipe(
  Command.withDescription(
    "Change limits of the streams of services while they are in use, by flags alone (variables are for services); says what changed. " +
      "A service that is started with other settings changes them again. Without a limit it has streams of older code " +
      "delete consumers that nobody uses (TRP0422). Exits with 1 when the server refuses one."
  ),
  Command.withShortDescription("Change limits of streams"),
  Command.withExamples([
    { command: "troupe streams set --replicas 3", description: "All streams of all services" },
    { command: "troupe streams set --service orders --stream-max-bytes 4GiB", description: "Of one service" }
  ])
)

export const streams = Command.make("streams").pipe(
  Command.withDescription("Look at the streams of services, and change their limits."),
  Command.withShortDescription("Streams of services: look, change limits"),
  Command.withSubcommands([list, set])
)
