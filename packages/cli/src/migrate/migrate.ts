import * as Print from "../Print.ts"
import { Text } from "@troupe/contract"
import { Migrations } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { Discovery, loadAll } from "../service/index.ts"
import * as Settings from "../Settings.ts"
import { type Target, targets } from "./targets.ts"

export interface Options {
  readonly files: ReadonlyArray<string>
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly json: boolean
}

export const migrate = (options: Options) =>
  Effect.gen(function* () {
    const { services } = yield* loadAll(yield* Discovery.files(options.files))
    const done = yield* Effect.forEach(yield* targets(services, options.databaseUrl), (target) =>
      Effect.gen(function* () {
        const where = Settings.redacted(target.url)
        const show = (name: string) => (options.json ? undefined : Print.line(`applied ${Text.line(name)} to ${where}`))
        const applied = yield* apply(target, show)
        if (!options.json && applied.length === 0) yield* Print.out(`nothing to do in ${where}`)
        return { service: target.service ?? null, database: where, applied }
      })
    )
    if (options.json) yield* Print.out(JSON.stringify({ databases: done }))
  })

/** Answers the names of the migrations that were applied; fails with TRP0512 on the database of another service. */
export const apply = (target: Target, onApplied?: (name: string) => void) =>
  Migrations.run({ ...target, ...(onApplied === undefined ? {} : { onApplied }) })
