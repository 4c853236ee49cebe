import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Migrations } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import postgres from "postgres"

let databases = 0
/** A database with a table `app.t` and a transaction that reads it, open until `close`; and how to run a further migration. */
const read = Effect.gen(function* () {
  const admin = process.env["DATABASE_URL"]!
  const name = `migrations_${process.pid}_${++databases}`
  const open = (url: string) =>
    Effect.acquireRelease(
      Effect.sync(() => postgres(url, { max: 2, onnotice: () => {} })),
      (sql) => Effect.promise(() => sql.end({ timeout: 5 }))
    )
  const server = yield* open(admin)
  yield* Effect.acquireRelease(
    Effect.promise(() => server.unsafe(`create database ${name}`)),
    () => Effect.promise(() => server.unsafe(`drop database ${name} with (force)`))
  )
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "migrations-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true }))
  )
  const url = Object.assign(new URL(admin), { pathname: `/${name}` }).href
  const migrate = (file: string, text: string) =>
    Effect.andThen(
      Effect.promise(() => writeFile(join(folder, file), text)),
      Migrations.run({ url: Redacted.make(url), folder })
    )
  yield* migrate("0001_t.sql", "create table app.t (n int); create sequence app.tries")
  const sql = yield* open(url)
  const reader = Promise.withResolvers<void>()
  const reading = Promise.withResolvers<void>()
  const transaction = sql.begin(async (tx) => {
    await tx`select n from app.t`
    reading.resolve()
    await reader.promise
  })
  yield* Effect.promise(() => reading.promise)
  const close = Effect.promise(() => {
    reader.resolve()
    return transaction
  })
  return {
    sql,
    migrate,
    close: yield* Effect.as(
      Effect.addFinalizer(() => close),
      close
    )
  }
})

describe("a migration whose table somebody reads for long", () => {
  it.live("lets others write while it waits, and is applied when the reader has ended", () =>
    Effect.gen(function* () {
      const { close, migrate, sql } = yield* read
      const migrating = yield* Effect.forkChild(migrate("0002_more.sql", "alter table app.t add column more int"))
      const waits = Effect.promise(() => sql`select 1 from pg_locks where relation = 'app.t'::regclass and not granted`)
      yield* Effect.repeat(waits, { until: (rows) => rows.length > 0 })
      // The reader does not end before it: this waits behind the migration, until that gives way.
      yield* Effect.promise(() => sql`insert into app.t (n) values (1)`)
      assert.isUndefined(migrating.pollUnsafe())
      yield* close
      assert.deepStrictEqual(yield* Fiber.join(migrating), ["app/0002_more.sql"])
      assert.deepStrictEqual([...(yield* Effect.promise(() => sql`select n, more from app.t`))], [{ n: 1, more: null }])
    }).pipe(Effect.scoped)
  )

  it.effect("is given up after 31 tries, and says what to do", () =>
    Effect.gen(function* () {
      const { migrate, sql } = yield* read
      const text = `set local lock_timeout = '1ms'; select nextval('app.tries'); alter table app.t add column more int`
      const migrating = yield* Effect.forkChild(Effect.flip(migrate("0002_more.sql", text)))
      while (migrating.pollUnsafe() === undefined) {
        yield* Effect.promise(() => sql`select 1`)
        yield* TestClock.adjust("2 seconds")
      }
      const { code, message } = yield* Fiber.join(migrating)
      assert.strictEqual(code, "TRP0510")
      assert.match(message, /app\/0002_more\.sql · .*lock timeout · end the transactions/)
      assert.deepStrictEqual(
        [...(yield* Effect.promise(() => sql`select last_value::int from app.tries`))],
        [{ last_value: 31 }]
      )
    }).pipe(Effect.scoped)
  )
})
