import { Migrations } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import postgres from "postgres"

let databases = 0

/** A migrated database of its own, and a client of it. */
export const database = Effect.gen(function* () {
  const admin = process.env["DATABASE_URL"]!
  const name = `postgres_${process.pid}_${++databases}_${Math.random().toString(36).slice(2)}`
  const open = (url: string) =>
    Effect.acquireRelease(
      Effect.sync(() => postgres(url, { max: 4, onnotice: () => {} })),
      (sql) => Effect.promise(() => sql.end())
    )
  const server = yield* open(admin)
  yield* Effect.acquireRelease(
    Effect.promise(() => server.unsafe(`create database ${name}`)),
    () => Effect.promise(() => server.unsafe(`drop database ${name} with (force)`))
  )
  const url = Object.assign(new URL(admin), { pathname: `/${name}` }).href
  yield* Migrations.run({ url: Redacted.make(url) })
  return { url, sql: yield* open(url), other: yield* open(url) }
})
