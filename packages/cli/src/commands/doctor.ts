import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import { databaseUrl, json, natsCreds, natsUrl } from "./flags.ts"

export const doctor = Command.make(
  "doctor",
  {
    files: Argument.String("file").pipe(
      Argument.withDescription(
        "Files whose default export is a service: look at these services alone. " +
          "Default: services/*/src/main.ts, and every service that the servers have"
      ),
      Argument.variadic()
    ),
    natsUrl,
    natsCreds,
    databaseUrl,
    json
  },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../doctor/doctor.ts")),
      ({ doctor }) => doctor(options)
    )
).pipe(
  Command.withDescription(
    "Check Node.js, NATS and its streams, PostgreSQL and its databases, identities, durability and clocks, and say what to do " +
      "about each, and what could not be looked at. Exits with 1 when something fails."
  ),
  Command.withShortDescription("Check what Troupe needs"),
  Command.withExamples([
    { command: "troupe doctor", description: "What NATS_URL and DATABASE_URL name" },
    { command: "troupe doctor services/orders/src/main.ts", description: "What one service needs" },
    { command: "troupe doctor --nats-url nats://127.0.0.1:4222 --json", description: "One server, for a program" }
  ])
)
