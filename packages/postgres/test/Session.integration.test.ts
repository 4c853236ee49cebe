import { assert, it } from "@effect/vitest"
import { Migrations } from "@troupe/postgres"
import { Session } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import postgres from "postgres"

const admin = process.env["DATABASE_URL"] ?? "postgres://DATABASE_URL-is-not-set"

let databases = 0

const database = (options = "") =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const sql = postgres(admin, { max: 1, onnotice: () => {} })
      const name = `session_${process.pid}_${++databases}`
      await sql.unsafe(`create database ${name} ${options}`)
      return { sql, name, url: Redacted.make(Object.assign(new URL(admin), { pathname: `/${name}` }).href) }
    }),
    ({ name, sql }) =>
      Effect.promise(async () => {
        await sql.unsafe(`drop database ${name} with (force)`)
        await sql.end()
      })
  )

const refused = (url: Redacted.Redacted, code: string) =>
  Effect.gen(function* () {
    for (const use of [Effect.asVoid(Migrations.run({ url })), Session.check({ url })]) {
      const error = yield* Effect.flip(use)
      assert.strictEqual(error.code, code)
    }
  })

it.live("a database whose encoding cannot hold every text is refused, to migrate and to start", () =>
  Effect.gen(function* () {
    const { url } = yield* database("encoding 'LATIN1' locale 'C' template template0")
    yield* refused(url, "TRP0514")
  }).pipe(Effect.scoped)
)

it.live("a database whose triggers do not fire is refused, to migrate and to start", () =>
  Effect.gen(function* () {
    const { name, sql, url } = yield* database()
    yield* Effect.promise(() => sql.unsafe(`alter database ${name} set session_replication_role = 'replica'`))
    yield* refused(url, "TRP0515")
  }).pipe(Effect.scoped)
)

it.live("an application name that does not arrive is refused: nobody could end the connections of a frozen host", () =>
  Effect.gen(function* () {
    const { url } = yield* database()
    // PostgreSQL cuts a name at 63 bytes.
    const error = yield* Effect.flip(Session.check({ url, applicationName: "x".repeat(80) }))
    assert.strictEqual(error.code, "TRP0513")
    yield* Session.check({ url, applicationName: "troupe:x" })
  }).pipe(Effect.scoped)
)
