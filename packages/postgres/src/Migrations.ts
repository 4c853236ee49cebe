import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import postgres from "postgres"
import { security } from "./client.ts"
import { sqlState } from "./Db.ts"
import * as Identity from "./Identity.ts"
import * as Settings from "./Settings.ts"
import * as Session from "./Session.ts"
import { describe, failure, type PostgresError, redactedUrl, unreached } from "./Sql.ts"

/** One numbered SQL file: `0001_tables.sql`. */
interface Migration {
  readonly number: number
  readonly name: string
  readonly text: string
  readonly sha256: string
}

/** Which database is migrated, with what. */
export interface Options {
  /** A role that may create in this database. */
  readonly url: Redacted.Redacted
  /** A service's own migrations, applied to the schema `app`. None: only `troupe`. */
  readonly folder?: string | undefined
  /** The service whose database it should be: one that belongs to another service is left as it is. */
  readonly service?: string | undefined
  readonly onApplied?: (name: string) => void
}

/**
 * Brings a service's database up to date: schema `troupe`, then the service's own tables in schema `app`. Each file runs
 * in a transaction of its own, under an advisory lock, so that two callers apply each once. Who waits for a lock of a table
 * keeps all out who come later: after 2 s, or the `lock_timeout` that the file sets, it gives way to them for 2 s and is
 * tried again, 30 times. Answers what was applied. Fails with TRP0512 on the database of another service.
 */
export const run = (options: Options): Effect.Effect<ReadonlyArray<string>, PostgresError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const sql = yield* Effect.acquireRelease(
        Effect.sync(() =>
          postgres(Settings.url(Redacted.value(options.url)), {
            ...Settings.client({ applicationName: "troupe migrate" }),
            ...security(Redacted.value(options.url))
          })
        ),
        (sql) => Effect.promise(() => sql.end({ timeout: 5 }))
      )
      const where = redactedUrl(options.url)
      const fault = yield* step(where, "TRP0501", () => Session.ofDatabase(sql))
      if (fault !== undefined) return yield* failure(fault.code, where, fault.why)
      yield* step(where, "TRP0501", () => prepare(sql))
      const owner = (yield* step(where, "TRP0501", () => Identity.read(sql)))?.service
      if (options.service !== undefined && owner !== undefined && owner !== options.service)
        return yield* failure("TRP0512", where, `it is of ${owner}, and this is ${options.service}`)
      const applied: Array<string> = []
      for (const [schema, folder] of [
        ["troupe", own],
        ["app", options.folder]
      ] as const) {
        if (folder === undefined) continue
        const files = yield* step(folder, "TRP0505", () => read(folder))
        for (const migration of files) {
          const name = `${schema}/${migration.name}`
          const before = yield* step(where, "TRP0505", () => done(sql, schema, migration.number))
          if (before === migration.sha256) continue
          if (before !== undefined) return yield* failure("TRP0508", name, `the database has another text of it`)
          yield* patiently(name, () => apply(sql, schema, migration))
          options.onApplied?.(name)
          applied.push(name)
        }
      }
      return applied
    })
  )

/** Fails unless every migration of schema `troupe` has been applied. */
export const check = (sql: postgres.Sql, where: string): Effect.Effect<void, PostgresError> =>
  Effect.gen(function* () {
    const files = yield* step(own, "TRP0505", () => read(own))
    const rows = yield* step(where, "TRP0501", async () => {
      const [there] = await sql`select to_regclass('troupe.migration') is not null as yes`
      return there?.["yes"] === true ? await sql`select number from troupe.migration where schema = 'troupe'` : []
    })
    const has = new Set(rows.map((row) => Number(row["number"])))
    const missing = files.filter((file) => !has.has(file.number)).map((file) => file.name)
    if (missing.length > 0) return yield* failure("TRP0503", where, `it lacks ${missing.join(", ")}`)
  })

const own = fileURLToPath(new URL("../migrations/", import.meta.url))

const step = <A>(
  to: string,
  code: Parameters<typeof failure>[0],
  run: () => Promise<A>
): Effect.Effect<A, PostgresError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => (code === "TRP0501" ? unreached(to, cause) : failure(code, to, describe(cause)))
  })

/** Fails with TRP0510 when it got no lock in all that time (55P03). */
const patiently = (name: string, apply: () => Promise<unknown>): Effect.Effect<unknown, PostgresError> => {
  const applied = Effect.tryPromise({ try: apply, catch: (cause) => cause })
  const locked = (cause: unknown) => sqlState(cause) === "55P03"
  return applied.pipe(
    Effect.tapError((cause) =>
      locked(cause) ? Effect.logInfo(`${name} waits for an open transaction, and gives way meanwhile`) : Effect.void
    ),
    Effect.retry({ while: locked, schedule: Schedule.spaced("2 seconds"), times: 30 }),
    Effect.mapError((cause) => failure(locked(cause) ? "TRP0510" : "TRP0505", name, describe(cause)))
  )
}

const read = async (folder: string): Promise<ReadonlyArray<Migration>> => {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_.+\.sql$/.test(name)).sort()
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(folder, name), "utf8")
      return { number: Number(name.slice(0, 4)), name, text, sha256: createHash("sha256").update(text).digest("hex") }
    })
  )
}

/** Any number; the same in every version of this code. */
const lock = 7_486_017

const prepare = async (sql: postgres.Sql): Promise<void> => {
  await sql.unsafe(Settings.statement({}))
  await sql`select pg_advisory_lock(${lock})`
  await sql.unsafe(`create schema if not exists troupe; create schema if not exists app;
    create table if not exists troupe.migration (
      schema text not null, number int not null, name text not null, sha256 text not null,
      at timestamptz not null default now(), primary key (schema, number))`)
}

const done = async (sql: postgres.Sql, schema: string, number: number): Promise<string | undefined> => {
  const [row] = await sql`select sha256 from troupe.migration where schema = ${schema} and number = ${number}`
  return row?.["sha256"]
}

const apply = (sql: postgres.Sql, schema: string, migration: Migration): Promise<unknown> =>
  sql.begin(async (tx) => {
    await tx`set local lock_timeout = '2s'`
    await tx.unsafe(migration.text)
    await tx`insert into troupe.migration (schema, number, name, sha256)
      values (${schema}, ${migration.number}, ${migration.name}, ${migration.sha256})`
  })
