import { Sql } from "@troupe/postgres"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { failure, reason } from "../Failure.ts"
import * as ServiceDatabase from "../ServiceDatabase.ts"
import * as Settings from "../Settings.ts"

export interface Options {
  readonly service: Option.Option<string>
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly json: boolean
}

/** Gives `use` the database of the service. Fails with TRP0503 where it has no dead letters' table. */
export const open = <A, E>(options: Options, use: (sql: Sql["Service"]) => Effect.Effect<A, E>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const named = yield* Settings.required("DATABASE_URL", options.databaseUrl)
      const url = Option.match(options.service, {
        onNone: () => named,
        onSome: (service) => ServiceDatabase.fromEnvironment(service) ?? ServiceDatabase.ofService(named, service)
      })
      const layer = Sql.layer({ url, max: 1, applicationName: "troupe dead" })
      const sql = Context.get(yield* Layer.build(layer), Sql)
      const [there] = yield* Effect.tryPromise({
        try: async () => await sql`select to_regclass('troupe.dead') is not null as yes`,
        catch: (cause) => failure("TRP0501", Settings.redacted(url), reason(cause))
      })
      if (there?.["yes"] !== true)
        return yield* failure("TRP0503", Settings.redacted(url), "it has no table troupe.dead")
      return yield* use(sql)
    })
  )
