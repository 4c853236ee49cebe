import { Sql } from "@troupe/postgres"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { urlOf } from "../src/ServiceDatabase.ts"

/** The server of these tests, as a role that may do everything. */
export const server = Redacted.make(process.env["DATABASE_URL"] ?? "postgres://DATABASE_URL-is-not-set")

let databases = 0

/** Runs a statement; its rows. */
export const query = (url: Redacted.Redacted, text: string) =>
  Effect.scoped(
    Effect.flatMap(Layer.build(Sql.layer({ url, max: 1 })), (context) =>
      Effect.promise(async () => await Context.get(context, Sql).unsafe(text))
    )
  )

/** An empty database; goes with the scope, and with it every database and role whose name begins with its name. */
export const database = Effect.acquireRelease(
  Effect.gen(function* () {
    const name = `cli_${process.pid}_${++databases}`
    yield* query(server, `create database ${name}`)
    return { name, url: urlOf(server, name) }
  }),
  ({ name }) =>
    Effect.gen(function* () {
      const like = `'${name.replaceAll("_", "\\_")}%'`
      for (const row of yield* query(server, `select datname from pg_database where datname like ${like}`)) {
        yield* query(server, `drop database "${row["datname"]}" with (force)`)
      }
      for (const row of yield* query(server, `select rolname from pg_roles where rolname like ${like}`)) {
        yield* query(server, `drop role "${row["rolname"]}"`)
      }
    }).pipe(Effect.orDie)
)
