import { Codes, Reason } from "@troupe/contract"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type postgres from "postgres"
import * as Connection from "./Connection.ts"

/** The database cannot be used at all: unreachable, too old, not migrated, or a migration failed. Its message is for a person. */
export class PostgresError extends Schema.TaggedError<PostgresError>()("PostgresError", {
  code: Schema.String,
  message: Schema.String
}) {}

/** A `PostgresError` of the table. */
export const failure = (code: Codes.Code, to: string, why: string): PostgresError =>
  new PostgresError({ code, message: Codes.text(code, to, why) })

/** The oldest PostgreSQL that Troupe runs on. */
export const minimumVersion = 150_000

/** postgres.js without Drizzle, for Troupe's own statements: the committer, the relay. One statement at a time, no transactions. */
export class Sql extends Context.Service<Sql, postgres.Sql>()("@troupe/postgres/Sql") {
  /** Connects and checks the version; fails with a message for a person. */
  static readonly layer = (options: Connection.Options): Layer.Layer<Sql, PostgresError> =>
    Layer.effect(
      Sql,
      Effect.gen(function* () {
        const sql = yield* Connection.pool(options)
        const where = redactedUrl(options.url)
        const rows = yield* Effect.tryPromise({
          try: async () =>
            await sql<Array<{ version: number }>>`select current_setting('server_version_num')::int as version`,
          catch: (cause) => failure("TRP0501", where, describe(cause))
        })
        const version = rows[0]?.version ?? 0
        if (version < minimumVersion)
          return yield* failure("TRP0502", where, `it is version ${Math.floor(version / 10_000)}`)
        return sql
      })
    )
}

/** The url without its password. */
export const redactedUrl = (url: Redacted.Redacted): string => {
  try {
    const parsed = new URL(Redacted.value(url))
    return `postgres://${parsed.username}@${parsed.host}${parsed.pathname}`
  } catch {
    return "DATABASE_URL"
  }
}

/** What a driver's error says, in one line. postgres.js says "AggregateError" when every address refused. */
export const describe = (cause: unknown): string => Reason.text(cause)
