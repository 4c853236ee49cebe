import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { databaseUrl, json, natsCreds, natsUrl } from "./flags.ts"
import { limits } from "./limits.ts"

export const run = Command.make(
  "run",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription("A file whose default export is a service or a gateway")
    ),
    natsUrl,
    natsCreds,
    databaseUrl,
    httpHost: Flag.String("http-host").pipe(
      Flag.withDescription(
        "Where the health endpoints, or a gateway, listen. Default: TROUPE_HTTP_HOST, else 127.0.0.1"
      ),
      Flag.withMetavar("HOST"),
      Flag.optional
    ),
    httpPort: Flag.Int("http-port").pipe(
      Flag.withDescription("Their port; 0 takes any. Default: TROUPE_HTTP_PORT, else 4100"),
      Flag.withMetavar("PORT"),
      Flag.optional
    ),
    ...limits,
    json
  },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../run/run.ts")),
      ({ run }) => run(options)
    )
).pipe(
  Command.withDescription(
    "Run one service until SIGTERM or SIGINT; then it finishes what it has begun, lets go of its partitions and exits with 0."
  ),
  Command.withShortDescription("Run one service"),
  Command.withExamples([
    { command: "troupe run services/orders/src/main.ts", description: "With NATS_URL and DATABASE_URL set" },
    { command: "troupe run main.ts --http-port 0 --json", description: "Any free health port; says which, as JSON" }
  ])
)
