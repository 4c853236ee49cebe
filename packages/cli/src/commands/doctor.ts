import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { databaseUrl, json, natsUrl } from "./flags.ts"

export const doctor = Command.make("doctor", { natsUrl, databaseUrl, json }, (options) =>
  Effect.flatMap(
    Effect.promise(() => import("../doctor/doctor.ts")),
    ({ doctor }) => doctor(options)
  )
).pipe(
  Command.withDescription(
    "Check Node.js, NATS and its streams, PostgreSQL and its database, durability and clocks, and say what to do about each. " +
      "Exits with 1 when something fails."
  ),
  Command.withShortDescription("Check what Troupe needs"),
  Command.withExamples([
    { command: "troupe doctor", description: "What NATS_URL and DATABASE_URL name" },
    { command: "troupe doctor --nats-url nats://127.0.0.1:4222 --json", description: "One server, for a program" }
  ])
)
