import { Codes } from "@troupe/contract"
import { Sql } from "@troupe/postgres"
import { Identity } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as ServiceDatabase from "../ServiceDatabase.ts"

/**
 * The database of a service: its own variable (`ORDERS_DATABASE_URL`), else the one that `url` names where that says that it
 * is of the service, else the one that `troupe dev` makes on the server of `url`.
 */
export const locate = (url: Redacted.Redacted, service: string): Effect.Effect<Redacted.Redacted> =>
  Effect.gen(function* () {
    const own = ServiceDatabase.fromEnvironment(service)
    if (own !== undefined) return own
    const derived = ServiceDatabase.ofService(url, service)
    if (derived === url) return url
    const is = yield* Effect.scoped(
      Effect.gen(function* () {
        const sql = Context.get(yield* Layer.build(Sql.layer({ url, max: 1, applicationName: "troupe" })), Sql)
        return yield* Effect.tryPromise(() => Identity.read(sql))
      })
      // A database that only begins the names of others need not be there.
    ).pipe(Effect.orElseSucceed(() => undefined))
    return is?.service === service ? url : derived
  })

/** Why a database is not the service's, with TRP0512; nothing where it is, or no service has started on it yet. */
export const foreign = (database: Identity.Identity | undefined, service: string, where: string): string | undefined =>
  database?.service === undefined || database.service === service
    ? undefined
    : Codes.text("TRP0512", where, `it is of ${database.service}, and this is ${service}`)
