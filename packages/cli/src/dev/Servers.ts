import type * as embedded from "@troupe/embedded"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Failure, failure, lineOf } from "../Failure.ts"
import * as Settings from "../Settings.ts"
import { say } from "./Notices.ts"
import type { Users } from "./Users.ts"

/** The servers of a development run. */
export interface Servers {
  readonly natsUrl: Redacted.Redacted
  readonly databaseUrl: Redacted.Redacted
  /** The address for a service or a caller: with its own user, where the server was started for this run. */
  readonly natsUrlOf: (name: string | undefined) => Redacted.Redacted
  /** Those that were started for this run. They end with the scope. */
  readonly started: ReadonlyArray<{ readonly what: string; readonly variable: string }>
}

type Named = Option.Option<Redacted.Redacted>
type Started = Effect.Effect<Pick<Servers, "started"> & { readonly url: Redacted.Redacted }, Failure, Scope.Scope>

/**
 * Connects to the servers that are named, before anything is started: so a wrong url is all that is said. Fails with the
 * code that says what is wrong with the server.
 */
export const check = (named: { readonly natsUrl: Named; readonly databaseUrl: Named }): Effect.Effect<void, Failure> =>
  Effect.all(
    [
      answers("TRP0401", named.natsUrl, async (url) => {
        const { Nats } = await import("@troupe/nats")
        return Nats.layer({ url, name: "troupe dev" })
      }),
      answers("TRP0501", named.databaseUrl, async (url) => {
        const { Sql } = await import("@troupe/postgres")
        return Sql.layer({ url, max: 1, applicationName: "troupe dev" })
      })
    ],
    { concurrency: 2, discard: true }
  )

/** So long a server that is named may take to answer. */
const patience = "5 seconds"

const answers = <A>(
  code: "TRP0401" | "TRP0501",
  named: Named,
  load: (url: Redacted.Redacted) => Promise<Layer.Layer<A, { readonly code: string; readonly message: string }>>
): Effect.Effect<void, Failure> =>
  Option.match(named, {
    onNone: () => Effect.void,
    onSome: (url) =>
      Effect.gen(function* () {
        const layer = yield* Effect.promise(() => load(url))
        // Detached: a connection that is being made cannot be interrupted, and nobody waits for it.
        const connecting = yield* Effect.forkDetach(Effect.scoped(Layer.build(layer)))
        yield* Fiber.join(connecting).pipe(
          Effect.mapError((error) => new Failure({ code: error.code, message: lineOf(error) })),
          Effect.timeoutOrElse({
            duration: patience,
            orElse: () => failure(code, Settings.redacted(url), `no answer in ${patience}`)
          })
        )
      })
  })

/** Takes the servers that are named, and starts those that are not: nats-server with the users, once they are known. */
export const open = (
  named: { readonly natsUrl: Named; readonly databaseUrl: Named },
  users: Effect.Effect<Users, Failure>
): Effect.Effect<Servers, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const [nats, postgres] = yield* Effect.all([startNats(named.natsUrl, users), startPostgres(named.databaseUrl)], {
      concurrency: 2
    })
    const { login } = yield* users
    return {
      natsUrl: nats.url,
      natsUrlOf: (name) => (nats.started.length === 0 ? nats.url : login(nats.url, name)),
      databaseUrl: postgres.url,
      started: [...nats.started, ...postgres.started]
    }
  })

const startNats = (named: Named, users: Effect.Effect<Users, Failure>): Started =>
  either(named, "nats-server", "NATS_URL", ({ NatsServer }) =>
    Effect.flatMap(users, ({ config }) => NatsServer.start({ config }))
  )

const startPostgres = (named: Named): Started =>
  either(named, "PostgreSQL", "DATABASE_URL", ({ Postgres }) => Postgres.start())

type Embedded = typeof embedded

const either = (
  named: Named,
  what: string,
  variable: string,
  start: (
    embedded: Embedded
  ) => Effect.Effect<{ readonly url: string }, embedded.EmbeddedError.EmbeddedError | Failure, Scope.Scope>
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
