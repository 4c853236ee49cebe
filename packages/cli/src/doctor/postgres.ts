import { Sql } from "@troupe/postgres"
import { Identity, Session } from "@troupe/postgres/internal"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type { Failure } from "../Failure.ts"
import { asked } from "../identity/open.ts"
import * as Settings from "../Settings.ts"
import { clock } from "./clock.ts"
import { failed, type Finding, ok, warn } from "./Finding.ts"
import { postgresTls } from "./tls.ts"

/** A PostgreSQL server that answers, and the database of it that the url names. */
export interface Server {
  readonly url: Redacted.Redacted
  readonly migrated: boolean
  readonly identity: Identity.Identity | undefined
  /** Databases that the server has. */
  readonly names: ReadonlyArray<string>
}

/** The server, and what it says of its databases. */
export const postgres = (url: Redacted.Redacted) =>
  connected(url, (sql) =>
    Effect.gen(function* () {
      const before = yield* Clock.currentTimeMillis
      const row = yield* ask(sql, facts)
      const after = yield* Clock.currentTimeMillis
      const findings: ReadonlyArray<Finding> = [
        ok("postgres", `PostgreSQL ${row["version"]} at ${Settings.redacted(url)}`),
        ...postgresTls(url),
        ...settings(row),
        clock("postgres clock", Number(row["now"]), before, after),
        yield* sessions(url)
      ]
      const { migrated } = yield* ask(sql, "select to_regclass('troupe.migration') is not null as migrated")
      const { names } = yield* ask(sql, "select array_agg(datname::text) as names from pg_database")
      const identity = yield* asked(Settings.redacted(url), () => Identity.read(sql))
      const server: Server = { url, migrated: migrated === true, identity, names: names as ReadonlyArray<string> }
      return [server, findings] as const
    })
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

/** Whether a pooler or a setting is in the way. */
const sessions = (url: Redacted.Redacted): Effect.Effect<Finding> =>
  Session.check({ url, applicationName: "troupe doctor" }).pipe(
    Effect.as(ok("postgres sessions", "each connection is a session of its own; the encoding is UTF8")),
    Effect.catch((error) => Effect.succeed(failed("postgres sessions", error)))
  )

/** Gives `use` a connection, and ends it. */
export const connected = <A, E>(url: Redacted.Redacted, use: (sql: Sql["Service"]) => Effect.Effect<A, E>) =>
  Effect.scoped(
    Effect.flatMap(Layer.build(Sql.layer({ url, max: 1, applicationName: "troupe doctor" })), (context) =>
      use(Context.get(context, Sql))
    )
  )

const ask = (sql: Sql["Service"], text: string): Effect.Effect<Row, Failure> =>
  asked("postgres", async () => (await sql.unsafe(text))[0] ?? {})
