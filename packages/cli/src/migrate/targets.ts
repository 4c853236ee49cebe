import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { type Failure, failure } from "../Failure.ts"
import { Discovery, type Loaded } from "../service/index.ts"
import * as ServiceDatabase from "../ServiceDatabase.ts"
import * as Settings from "../Settings.ts"

/** One database to bring up to date. */
export interface Target {
  /** None for a plain database. */
  readonly service: string | undefined
  readonly url: Redacted.Redacted
  /** The service's own migrations. */
  readonly folder: string | undefined
}

/**
 * Which databases: that of each service, or the plain DATABASE_URL where there are no services. A service's own variable
 * (`ORDERS_DATABASE_URL`) goes before DATABASE_URL; two services never share one, so that fails with TRP0101.
 */
export const targets = (
  services: ReadonlyArray<Loaded>,
  flag: Option.Option<Redacted.Redacted>,
  environment: Settings.Environment = process.env
): Effect.Effect<ReadonlyArray<Target>, Failure> =>
  Effect.gen(function* () {
    if (services.length === 0) {
      const url = yield* Settings.required("DATABASE_URL", flag, environment)
      return [{ service: undefined, url, folder: undefined }]
    }
    const without = services.filter(({ service }) => !ServiceDatabase.fromEnvironment(service.name, environment))
    if (without.length > 1) {
      const variables = without.map(({ service }) => ServiceDatabase.variableOf(service.name)).join(", ")
      return yield* failure(
        "TRP0101",
        "DATABASE_URL",
        `${services.length} services need a database each: name one file, or set ${variables}`
      )
    }
    return yield* Effect.forEach(services, ({ file, service }) =>
      Effect.gen(function* () {
        const own = ServiceDatabase.fromEnvironment(service.name, environment)
        const url = own ?? (yield* Settings.required("DATABASE_URL", flag, environment))
        return { service: service.name, url, folder: yield* Discovery.migrations(file) }
      })
    )
  })
