import { Sql } from "@troupe/postgres"
import { Identity } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { Failure, failure } from "../Failure.ts"
import { foreign, locate } from "../identity/locate.ts"
import { asked } from "../identity/open.ts"
import * as Settings from "../Settings.ts"

export interface Options {
  readonly service: Option.Option<string>
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly json: boolean
}

/**
 * Gives `use` the database of the service. Fails with TRP0503 where it has no dead letters' table, and with TRP0512 where it
 * belongs to another service than the one that is named.
 */
export const open = <A, E>(options: Options, use: (sql: Sql["Service"]) => Effect.Effect<A, E>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const named = yield* Settings.required("DATABASE_URL", options.databaseUrl)
      const url = yield* Option.match(options.service, {
        onNone: () => Effect.succeed(named),
        onSome: (service) => locate(named, service)
      })
      const where = Settings.redacted(url)
      const layer = Sql.layer({ url, max: 1, applicationName: "troupe dead" })
      const sql = Context.get(yield* Layer.build(layer), Sql)
      const [there] = yield* asked(where, async () => await sql`select to_regclass('troupe.dead') is not null as yes`)
      if (there?.["yes"] !== true) return yield* failure("TRP0503", where, "it has no table troupe.dead")
      if (Option.isSome(options.service)) {
        const wrong = foreign(yield* asked(where, () => Identity.read(sql)), options.service.value, where)
        if (wrong !== undefined) return yield* new Failure({ code: "TRP0512", message: wrong })
      }
      return yield* use(sql)
    })
  )
