import { Codes } from "@troupe/contract"
import { Migrations, Sql } from "@troupe/postgres"
import { Session } from "@troupe/postgres/internal"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { type Failure, failure, reason } from "../Failure.ts"
import * as ServiceDatabase from "../ServiceDatabase.ts"
import * as Settings from "../Settings.ts"
import { clock } from "./clock.ts"
import { failed, type Finding, ok, warn } from "./Finding.ts"
import { postgresTls } from "./tls.ts"

/** The server, then the databases of the services. */
export const postgres = (
  url: Redacted.Redacted,
  services: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const server = yield* connected(url, (sql) =>
      Effect.gen(function* () {
        const before = yield* Clock.currentTimeMillis
        const row = yield* asked(sql, facts)
        const after = yield* Clock.currentTimeMillis
        const found = [
          ok("postgres", `PostgreSQL ${row["version"]} at ${Settings.redacted(url)}`),
          ...postgresTls(url),
          ...settings(row),
          clock("postgres clock", Number(row["now"]), before, after),
          yield* sessions(url)
        ]
        const migrated = yield* asked(sql, "select to_regclass('troupe.migration') is not null as yes")
        if (migrated["yes"] === true) return { found: [...found, yield* upToDate(sql, url)], others: [] }
        if (services.length === 0) return { found: [...found, missing(url)], others: [] }
        const { names } = yield* asked(sql, "select array_agg(datname::text) as names from pg_database")
        return { found, others: services.map((service) => own(url, service, names as ReadonlyArray<string>)) }
      })
    )
    return [...server.found, ...(yield* Effect.all(server.others))]
  }).pipe(
    Effect.timeout("20 seconds"),
    Effect.catch((error) => Effect.succeed([failed("postgres", error)]))
  )

const facts = `select current_setting('server_version') as version, rolsuper or (rolcreatedb and rolcreaterole) as may,
  rolname as role, current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit,
  current_setting('full_page_writes') as pages, extract(epoch from clock_timestamp()) * 1000 as now
  from pg_roles where rolname = current_user`

type Row = { readonly [column: string]: unknown }

const settings = (row: Row): ReadonlyArray<Finding> => [
  row["may"] === true
    ? ok("postgres rights", `${row["role"]} may create databases and roles`)
    : warn(
        "postgres rights",
        `${row["role"]} has not both CREATEDB and CREATEROLE`,
        "troupe dev needs them to give each service its database; a service that runs does not"
      ),
  row["fsync"] === "on" && row["pages"] === "on" && row["commit"] !== "off"
    ? ok("postgres durability", `fsync on, synchronous_commit ${row["commit"]}`)
    : warn(
        "postgres durability",
        `fsync ${row["fsync"]}, full_page_writes ${row["pages"]}, synchronous_commit ${row["commit"]}`,
        "set all three to on where the data counts: a power cut loses what was committed"
      )
]

/** The database that `troupe dev` makes for a service. */
const own = (url: Redacted.Redacted, service: string, names: ReadonlyArray<string>): Effect.Effect<Finding> => {
  const database = ServiceDatabase.fromEnvironment(service) ?? ServiceDatabase.ofService(url, service)
  const name = ServiceDatabase.databaseOf(database)
  if (!names.includes(name)) {
    const todo = `troupe dev makes it; else create it, and run troupe migrate with ${ServiceDatabase.variableOf(service)}`
    return Effect.succeed(warn(`database ${name}`, "it is not there", todo))
  }
  return connected(database, (sql) => upToDate(sql, database)).pipe(
    Effect.catch((error) => Effect.succeed(failed(`database ${name}`, error)))
  )
}

/** Whether a pooler or a setting is in the way. */
const sessions = (url: Redacted.Redacted): Effect.Effect<Finding> =>
  Session.check({ url, applicationName: "troupe doctor" }).pipe(
    Effect.as(ok("postgres sessions", "each connection is a session of its own; the encoding is UTF8")),
    Effect.catch((error) => Effect.succeed(failed("postgres sessions", error)))
  )

const upToDate = (sql: Sql["Service"], url: Redacted.Redacted): Effect.Effect<Finding> => {
  const check = `database ${ServiceDatabase.databaseOf(url)}`
  return Migrations.check(sql, Settings.redacted(url)).pipe(
    Effect.andThen(
      Effect.tryPromise({
        try: () => Session.risk(sql),
        catch: (cause) => failure("TRP0501", Settings.redacted(url), reason(cause))
      })
    ),
    Effect.map((risk) =>
      risk === undefined
        ? ok(check, "the schema troupe is up to date")
        : warn(check, `the schema troupe is up to date; ${risk}`, Codes.codes.TRP0518.todo)
    ),
    Effect.catch((error) => Effect.succeed(failed(check, error)))
  )
}

const missing = (url: Redacted.Redacted): Finding =>
  warn(
    `database ${ServiceDatabase.databaseOf(url)}`,
    "it has no schema troupe",
    "run troupe migrate; troupe dev does so by itself"
  )

const connected = <A, E>(url: Redacted.Redacted, use: (sql: Sql["Service"]) => Effect.Effect<A, E>) =>
  Effect.scoped(
    Effect.flatMap(Layer.build(Sql.layer({ url, max: 1, applicationName: "troupe doctor" })), (context) =>
      use(Context.get(context, Sql))
    )
  )

const asked = (sql: Sql["Service"], text: string): Effect.Effect<Row, Failure> =>
  Effect.tryPromise({
    try: async () => (await sql.unsafe(text))[0] ?? {},
    catch: (cause) => failure("TRP0501", "postgres", reason(cause))
  })
