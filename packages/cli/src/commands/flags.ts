import * as Flag from "effect/cli/Flag"

/** Every command has it. */
export const json = Flag.Boolean("json").pipe(Flag.withDescription("Print JSON, for programs"), Flag.withDefault(false))

export const natsUrl = Flag.Redacted("nats-url").pipe(
  Flag.withDescription("The NATS server. Default: NATS_URL"),
  Flag.withMetavar("URL"),
  Flag.optional
)

export const natsCreds = Flag.String("nats-creds").pipe(
  Flag.withDescription("A creds file, read anew at each reconnect. Default: NATS_CREDS"),
  Flag.withMetavar("FILE"),
  Flag.optional
)

export const databaseUrl = Flag.Redacted("database-url").pipe(
  Flag.withDescription("The PostgreSQL database. Default: DATABASE_URL"),
  Flag.withMetavar("URL"),
  Flag.optional
)
