import { Codes, Subject } from "@troupe/contract"
import { Migrations, type Sql } from "@troupe/postgres"
import { Consumers, Identity, Session } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { asked } from "../identity/open.ts"
import * as ServiceDatabase from "../ServiceDatabase.ts"
import * as Settings from "../Settings.ts"
import { failed, type Finding, ok, warn } from "./Finding.ts"
import { connected, type Server } from "./postgres.ts"
import type { Known } from "./services.ts"

/** A service, and what the database that should be its own says. */
export interface Database {
  readonly service: string
  readonly where: string
  readonly identity: Identity.Identity
  readonly consumers: ReadonlyArray<Consumers.Consumer>
  /** Consumers of the code; none where the code is not there. */
  readonly code: ReadonlySet<string> | undefined
}

export interface Wanted {
  readonly known: ReadonlyArray<Known>
  /** Services without code. */
  readonly others: ReadonlyArray<string>
  /** The files of the services are named. */
  readonly only: boolean
}

/** A database to look at. */
interface Place {
  /** None where nothing says whose it is. */
  readonly service: string | undefined
  readonly url: Redacted.Redacted
  readonly code?: ReadonlySet<string>
  readonly missing?: boolean
}

/** The database that DATABASE_URL names, and that of each service. */
export const databases = (server: Server | undefined, wanted: Wanted) =>
  Effect.gen(function* () {
    const looked = yield* Effect.forEach(places(server, wanted), (place) => {
      if (place.missing === true) return Effect.succeed([undefined, [absent(place)]] as const)
      if (server !== undefined && !server.migrated && isSame(place.url, server.url))
        return Effect.succeed([undefined, [empty(place.url)]] as const)
      return look(place)
    })
    return [looked.flatMap(([found]) => found ?? []), looked.flatMap(([, findings]) => findings)] as const
  })

const places = (server: Server | undefined, { known, only, others }: Wanted): ReadonlyArray<Place> => {
  const ofCode = known.flatMap(({ consumers, name }) => {
    const found = ofService(server, name, { named: only, sole: known.length === 1 })
    return found === undefined ? [] : [{ ...found, code: consumers }]
  })
  const rest = others.flatMap((name) => {
    const found = ofService(server, name)
    return found === undefined || found.missing === true ? [] : [found]
  })
  const all = [...ofCode, ...rest]
  if (server === undefined || all.some(({ url }) => isSame(url, server.url))) return all
  const seen = server.migrated ? !only || known.length === 0 : all.length === 0
  return seen ? [{ service: server.identity?.service, url: server.url }, ...all] : all
}

/**
 * Where the database of a service is: its own variable, the database that DATABASE_URL names when that says so, the one
 * that `troupe dev` makes; that of DATABASE_URL also where `troupe run` would use it for the only service.
 */
const ofService = (
  server: Server | undefined,
  service: string,
  code?: { readonly named: boolean; readonly sole: boolean }
): Place | undefined => {
  const own = ServiceDatabase.fromEnvironment(service)
  if (own !== undefined) return { service, url: own }
  if (server === undefined) return undefined
  const { identity, migrated, names, url } = server
  const derived = ServiceDatabase.ofService(url, service)
  const mayBe = code !== undefined || identity?.service === undefined
  if (identity?.service === service || (derived === url && mayBe)) return { service, url }
  if (derived !== url && names.includes(ServiceDatabase.databaseOf(derived))) return { service, url: derived }
  if (code?.sole === true && (code.named || migrated)) return { service, url }
  return { service, url: derived, missing: true }
}

const isSame = (a: Redacted.Redacted, b: Redacted.Redacted): boolean => Redacted.value(a) === Redacted.value(b)

const nameOf = (url: Redacted.Redacted): string => `database ${ServiceDatabase.databaseOf(url)}`

const absent = ({ service = "", url }: Place): Finding =>
  warn(
    nameOf(url),
    "it is not there",
    `troupe dev makes it; else create it, and run troupe migrate with ${ServiceDatabase.variableOf(service)}`
  )

const empty = (url: Redacted.Redacted): Finding =>
  warn(nameOf(url), "it has no schema troupe", "run troupe migrate; troupe dev does so by itself")

const look = ({ code, service, url }: Place) =>
  connected(url, (sql) =>
    Effect.gen(function* () {
      const where = Settings.redacted(url)
      const finding = yield* upToDate(sql, url)
      const identity = yield* asked(where, () => Identity.read(sql))
      if (identity === undefined) return [undefined, [finding]] as const
      if (service === undefined)
        return [undefined, [finding, ok(`identity of ${nameOf(url)}`, "no service has started on it yet")]] as const
      const consumers = yield* asked(where, () => Consumers.list(sql, Subject.stream("cmd", service)))
      const found: Database = { service, where, identity, consumers, code }
      return [found, [finding]] as const
    })
  ).pipe(Effect.catch((error) => Effect.succeed([undefined, [failed(nameOf(url), error)]] as const)))

const upToDate = (sql: Sql["Service"], url: Redacted.Redacted): Effect.Effect<Finding> =>
  Migrations.check(sql, Settings.redacted(url)).pipe(
    Effect.andThen(asked(Settings.redacted(url), () => Session.risk(sql))),
    Effect.map((risk) =>
      risk === undefined
        ? ok(nameOf(url), "the schema troupe is up to date")
        : warn(nameOf(url), `the schema troupe is up to date; ${risk}`, Codes.codes.TRP0518.todo)
    ),
    Effect.catch((error) => Effect.succeed(failed(nameOf(url), error)))
  )
