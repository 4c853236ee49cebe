import { randomBytes } from "node:crypto"
import { Sql } from "@troupe/postgres"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { type Failure, failure, reason } from "../Failure.ts"
import * as ServiceDatabase from "../ServiceDatabase.ts"
import * as Settings from "../Settings.ts"

/** Two runs of dev on one server take turns. Any number, the same in every version. */
const lock = 7_486_018

/**
 * Makes, where they are missing, a database and a role that owns it for each service, on the server that `url` names, and
 * gives each role a fresh password. Answers each service's url. A role that may not do so can use databases that were
 * made for it; else TRP0506.
 */
export const provide = (url: Redacted.Redacted, services: ReadonlyArray<string>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const names = yield* Effect.forEach(services, (service) => nameOf(url, service))
      const layer = Sql.layer({ url, max: 1, applicationName: "troupe dev" })
      const sql = Context.get(yield* Layer.build(layer), Sql)
      const where = Settings.redacted(url)
      const ask = statements(sql, where)
      const [me] = yield* ask(
        "select rolname, rolsuper or (rolcreatedb and rolcreaterole) as may, rolsuper as super from pg_roles where rolname = current_user"
      )
      const role = String(me?.["rolname"])
      if (me?.["may"] !== true) return yield* given(ask, url, role, names)
      yield* ask(`select pg_advisory_lock(${lock})`)
      return yield* Effect.forEach(names, (name) =>
        Effect.gen(function* () {
          const password = randomBytes(24).toString("base64url")
          yield* make(ask, name, password, me["super"] === true)
          return ServiceDatabase.urlOf(url, name, { name, password })
        })
      )
    })
  )

type Ask = (text: string) => Effect.Effect<ReadonlyArray<{ readonly [column: string]: unknown }>, Failure>

/** Runs a statement. What it says of a failure never has the statement's text, so never a password. */
const statements =
  (sql: Sql["Service"], where: string): Ask =>
  (text) =>
    Effect.tryPromise({
      try: async () => await sql.unsafe(text),
      catch: (cause) => failure(isDenied(cause) ? "TRP0506" : "TRP0501", where, reason(cause))
    })

/** SQLSTATE 42501: insufficient privilege. */
const isDenied = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && cause.code === "42501"

const make = (ask: Ask, name: string, password: string, isSuper: boolean): Effect.Effect<void, Failure> =>
  Effect.gen(function* () {
    const role = quoted(name)
    const [hasRole] = yield* ask(`select 1 from pg_roles where rolname = ${literal(name)}`)
    yield* ask(`${hasRole === undefined ? "create" : "alter"} role ${role} login password ${literal(password)}`)
    // An owner other than oneself has to be a role that one may become.
    if (!isSuper) yield* ask(`grant ${role} to current_user`)
    const [database] = yield* ask(
      `select pg_get_userbyid(datdba) = ${literal(name)} as owned from pg_database where datname = ${literal(name)}`
    )
    if (database === undefined) yield* ask(`create database ${role} owner ${role}`)
    else if (database["owned"] !== true) yield* ask(`alter database ${role} owner to ${role}`)
    // No service may look into another's database.
    yield* ask(`revoke connect, temporary on database ${role} from public`)
  })

/** Without the right to make any: those that are there already, used as the role that DATABASE_URL names. */
const given = (ask: Ask, url: Redacted.Redacted, role: string, names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const rows = yield* ask(
      `select datname, has_database_privilege(datname, 'connect') and has_database_privilege(datname, 'create') as usable
      from pg_database where datname in (${names.map(literal).join(", ")})`
    )
    const has = new Set(rows.map((row) => row["datname"]))
    const missing = names.filter((name) => !has.has(name))
    const closed = rows.filter((row) => row["usable"] !== true).map((row) => row["datname"])
    const whys = [
      ...(missing.length > 0 ? [`there is no ${missing.join(", ")}`] : []),
      ...(closed.length > 0 ? [`it may not connect to and create in ${closed.join(", ")}`] : [])
    ]
    if (whys.length === 0) return names.map((name) => ServiceDatabase.urlOf(url, name))
    return yield* failure(
      "TRP0506",
      Settings.redacted(url),
      `role ${role} has not both CREATEDB and CREATEROLE, and ${whys.join(", and ")}`
    )
  })

const nameOf = (url: Redacted.Redacted, service: string): Effect.Effect<string, Failure> => {
  const name = ServiceDatabase.nameOf(ServiceDatabase.prefixOf(url), service)
  if (Buffer.byteLength(name) > ServiceDatabase.longestName) {
    return Effect.fail(
      failure("TRP0101", "DATABASE_URL", `the name ${name} would be longer than PostgreSQL's 63 bytes`)
    )
  }
  return new URL(Redacted.value(url)).hostname === ""
    ? Effect.fail(failure("TRP0101", "DATABASE_URL", "it names no host, so no other role can be put into it"))
    : Effect.succeed(name)
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
