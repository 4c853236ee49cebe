import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import { databaseUrl, json } from "./flags.ts"

export const migrate = Command.make(
  "migrate",
  {
    files: Argument.String("file").pipe(
      Argument.withDescription("Files whose default export is a service. Default: services/*/src/main.ts"),
      Argument.variadic()
    ),
    databaseUrl,
    json
  },
  (options) =>
    Effect.flatMap(
      Effect.promise(() => import("../migrate/migrate.ts")),
      ({ migrate }) => migrate(options)
    )
).pipe(
  Command.withDescription(
    "Bring the database of a service up to date: the schema troupe, then the service's own migrations/*.sql in the schema app. " +
      "Several services need a database each: set ORDERS_DATABASE_URL and so on. Where there are no services, only the schema troupe."
  ),
  Command.withShortDescription("Bring databases up to date"),
  Command.withExamples([
    { command: "troupe migrate services/orders/src/main.ts", description: "The database of one service: DATABASE_URL" },
    { command: "troupe migrate", description: "Every service below the working directory" }
  ])
)
