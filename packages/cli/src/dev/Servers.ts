import type * as embedded from "@troupe/embedded"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Failure, lineOf } from "../Failure.ts"
import { say } from "./Notices.ts"

/** The servers of a development run. */
export interface Servers {
  readonly natsUrl: Redacted.Redacted
  readonly databaseUrl: Redacted.Redacted
  /** Those that were started for this run. They end with the scope. */
  readonly started: ReadonlyArray<{ readonly what: string; readonly variable: string }>
}

type Named = Option.Option<Redacted.Redacted>
type Started = Effect.Effect<Pick<Servers, "started"> & { readonly url: Redacted.Redacted }, Failure, Scope.Scope>

/** Takes the servers that are named, and starts those that are not. */
export const open = (named: {
  readonly natsUrl: Named
  readonly databaseUrl: Named
}): Effect.Effect<Servers, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const [nats, postgres] = yield* Effect.all([startNats(named.natsUrl), startPostgres(named.databaseUrl)], {
      concurrency: 2
    })
    return { natsUrl: nats.url, databaseUrl: postgres.url, started: [...nats.started, ...postgres.started] }
  })

const startNats = (named: Named): Started =>
  either(named, "nats-server", "NATS_URL", ({ NatsServer }) => NatsServer.start())

const startPostgres = (named: Named): Started =>
  either(named, "PostgreSQL", "DATABASE_URL", ({ Postgres }) => Postgres.start())

type Embedded = typeof embedded

const either = (
  named: Named,
  what: string,
  variable: string,
  start: (
    embedded: Embedded
  ) => Effect.Effect<{ readonly url: string }, embedded.EmbeddedError.EmbeddedError, Scope.Scope>
): Started =>
  Effect.gen(function* () {
    if (named._tag === "Some") return { url: named.value, started: [] }
    say(`${variable} is not set: starting ${what}`)
    const embedded = yield* Effect.promise(() => import("@troupe/embedded"))
    const server = yield* Effect.mapError(
      start(embedded),
      (error) => new Failure({ code: error.code, message: lineOf(error) })
    )
    return { url: Redacted.make(server.url), started: [{ what, variable }] }
  })
