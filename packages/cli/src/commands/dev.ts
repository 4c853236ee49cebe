import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { databaseUrl, json, natsUrl } from "./flags.ts"
import { limits } from "./limits.ts"

export const dev = Command.make(
  "dev",
  {
    files: Argument.String("file").pipe(
      Argument.withDescription("Files whose default export is a service. Default: services/*/src/main.ts"),
      Argument.variadic()
    ),
    after: Flag.String("then").pipe(
      Flag.withDescription(
        "Run this file once the services are ready, with NATS_URL and ORDERS_DATABASE_URL and so on"
      ),
      Flag.withMetavar("FILE"),
      Flag.optional
    ),
    once: Flag.Boolean("once").pipe(
      Flag.withDescription("Stop when that file has run, and exit with its exit code"),
      Flag.withDefault(false)
    ),
    natsUrl,
    databaseUrl,
    httpPort: Flag.Int("http-port").pipe(
      Flag.withDescription(
        "The health endpoints take the first free ports from this one up. Default: TROUPE_HTTP_PORT, else 4100"
      ),
      Flag.withMetavar("PORT"),
      Flag.optional
    ),
    ...limits,
    json
  },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../dev/dev.ts")),
      ({ dev }) => dev(options)
    )
).pipe(
  Command.withDescription(
    "Run every service on this machine, each as a process with a database and a role of its own, until Ctrl-C. " +
      "Starts nats-server and PostgreSQL where NATS_URL or DATABASE_URL do not name one. A service that dies is started again."
  ),
  Command.withShortDescription("Run every service on this machine"),
  Command.withExamples([
    { command: "troupe dev", description: "Everything in services/*/src/main.ts" },
    { command: "troupe dev orders.ts payments.ts --http-port 5000", description: "These two" },
    { command: "troupe dev --then try.ts --once --json", description: "Start, run try.ts against them, stop" }
  ])
)
