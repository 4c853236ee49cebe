import { assert, it } from "@effect/vitest"
import { Connection, Settings } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import postgres from "postgres"

const admin = process.env["DATABASE_URL"] ?? "postgres://DATABASE_URL-is-not-set"

/** A value that each setting may have in a role, and that would change what we read or how long we wait. */
const hostile: { readonly [name: string]: string } = {
  DateStyle: "German, DMY",
  IntervalStyle: "iso_8601",
  extra_float_digits: "-10",
  bytea_output: "escape",
  standard_conforming_strings: "off",
  array_nulls: "off",
  transform_null_equals: "on",
  default_transaction_isolation: "serializable",
  default_transaction_read_only: "on",
  default_transaction_deferrable: "on",
  row_security: "off",
  idle_in_transaction_session_timeout: "1",
  idle_session_timeout: "50",
  lock_timeout: "1",
  transaction_timeout: "1",
  statement_timeout: "300"
}

/** A role and a database of its own whose sessions have other settings, each one by the role or by the database. */
const place = Effect.acquireRelease(
  Effect.promise(async () => {
    const sql = postgres(admin, { max: 1, onnotice: () => {} })
    const name = `settings_${process.pid}`
    await sql.unsafe(`create role ${name} login password 'p'`)
    await sql.unsafe(`create database ${name} owner ${name}`)
    const known = new Set((await sql`select name from pg_settings`).map((row) => row["name"]))
    for (const [i, [setting, value]] of Object.entries(hostile).entries())
      if (known.has(setting))
        await sql.unsafe(`alter ${i % 2 === 0 ? "role" : "database"} ${name} set ${setting} = '${value}'`)
    const url = Object.assign(new URL(admin), { username: name, password: "p", pathname: `/${name}` })
    return { sql, name, url: url.href }
  }),
  ({ name, sql }) =>
    Effect.promise(async () => {
      await sql.unsafe(`drop database ${name} with (force)`)
      await sql.unsafe(`drop role ${name}`)
      await sql.end()
    })
)

it("the table has a hostile value for every setting that a connection relies on", () => {
  assert.deepStrictEqual(Object.keys(hostile).sort(), Object.keys(Settings.all({})).sort())
})

it.live("whatever role, database, url and environment say, a connection has the settings that it relies on", () =>
  Effect.gen(function* () {
    const { name, url } = yield* place
    yield* Effect.promise(async () => {
      // The fault is there: a plain session has them.
      const plain = postgres(url, { max: 1, fetch_types: false })
      const seen = await plain`select current_setting('DateStyle') as style, current_setting('array_nulls') as nulls`
      assert.deepStrictEqual([...seen], [{ style: "German, DMY", nulls: "off" }])
      await plain.end()
    })
    const before = process.env["PGAPPNAME"]
    yield* Effect.acquireRelease(
      Effect.sync(() => (process.env["PGAPPNAME"] = "theirs")),
      () =>
        Effect.sync(() => {
          if (before === undefined) delete process.env["PGAPPNAME"]
          else process.env["PGAPPNAME"] = before
        })
    )
    const options = encodeURIComponent("-c application_name=theirs -c work_mem=7MB -c statement_timeout=200")
    const theirs = `application_name=theirs&Client_Encoding=LATIN1&statement_timeout=300&idle_timeout=1&options=${options}`
    const connection = yield* Connection.make({
      url: Redacted.make(`${url}?${theirs}`),
      applicationName: "troupe:ours",
      statementTimeout: 4_000
    })
    yield* Effect.promise(async () => {
      const wanted = {
        ...Settings.all({ statementTimeout: 4_000 }),
        application_name: "troupe:ours",
        client_encoding: "UTF8"
      }
      const rows = await connection.ask(
        (sql) => sql`select name, setting from pg_settings where name = any (${Object.keys(wanted)}::text[])`
      )
      const is = Object.fromEntries(rows.map((row) => [row["name"], row["setting"]]))
      for (const [setting, value] of Object.entries(wanted))
        if (setting in is) assert.include(is[setting], value, setting)
      assert.isAtLeast(rows.length, Object.keys(wanted).length - 1, "transaction_timeout came with PostgreSQL 17")
      // What is the operator's stays.
      const [row] = await connection.ask(
        (
          sql
        ) => sql`select current_setting('work_mem') as memory, ${[null, "a", 'b"\\']}::text[] as texts, 0.1::float8 + 0.2 as sum,
          '\\x00ff'::bytea as bytes, timestamptz '2026-01-02 03:04:05.678+00' as at, current_user::text as role`
      )
      assert.deepStrictEqual(
        { ...row },
        {
          memory: "7MB",
          texts: [null, "a", 'b"\\'],
          sum: 0.1 + 0.2,
          bytes: Buffer.from([0, 255]),
          at: new Date("2026-01-02T03:04:05.678Z"),
          role: name
        }
      )
    })
  }).pipe(Effect.scoped)
)

it.live("a connection that was lost has its settings again", () =>
  Effect.gen(function* () {
    const connection = yield* Connection.make({ url: Redacted.make(admin), statementTimeout: 4_321 })
    const look = () =>
      connection.ask((sql) => sql`select pg_backend_pid() as pid, current_setting('statement_timeout') as timeout`)
    yield* Effect.promise(async () => {
      const [first] = await look()
      await connection.ask((sql) => sql`select pg_terminate_backend(pg_backend_pid())`).catch(() => {})
      const [second] = await look()
      assert.notStrictEqual(second!["pid"], first!["pid"])
      assert.deepStrictEqual([first!["timeout"], second!["timeout"]], ["4321ms", "4321ms"])
    })
  }).pipe(Effect.scoped)
)
