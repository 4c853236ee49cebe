import { Codes, Reason } from "@troupe/contract"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type postgres from "postgres"
import * as Connection from "./Connection.ts"
import { isUntrusted, passes, sqlState } from "./Db.ts"

/** The database cannot be used at all: unreachable, too old, not migrated, or a migration failed. Its message is for a person. */
export class PostgresError extends Schema.TaggedError<PostgresError>()("PostgresError", {
  code: Schema.String,
  message: Schema.String,
  /** The server is away, or not ready yet: the same may do later. */
  passes: Schema.optionalKey(Schema.Boolean)
}) {}

/** A `PostgresError` of the table. */
export const failure = (code: Codes.Code, to: string, why: string): PostgresError =>
  new PostgresError({ code, message: Codes.text(code, to, why) })

/**
 * TRP0501, TRP0520 or TRP0521, by what the driver threw. A role or a database that the server does not know does not come
 * by waiting, nor does a certificate.
 */
export const unreached = (to: string, cause: unknown): PostgresError => {
  if (isUntrusted(cause)) return failure(sqlState(cause) === "TRP0521" ? "TRP0521" : "TRP0520", to, describe(cause))
  return new PostgresError({
    code: "TRP0501",
    message: Codes.text("TRP0501", to, describe(cause)),
    passes: passes(cause) && !/^(28|3D)/.test(sqlState(cause) ?? "")
  })
}

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
          catch: (cause) => unreached(where, cause)
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
