import { Mark, Nats } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import { Identity } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type Failure, failure, reason } from "../Failure.ts"
import * as Settings from "../Settings.ts"

export interface Options {
  readonly natsUrl: Option.Option<Redacted.Redacted>
  readonly natsCreds: Option.Option<string>
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly json: boolean
}

/** Both servers. */
export interface Servers {
  readonly sql: Sql["Service"]
  readonly nats: Context.Context<Nats>
  /** The database, as it may be shown. */
  readonly where: string
  readonly database: Identity.Identity
}

/** Connects to both. Fails with TRP0503 where the database is not migrated. */
export const open = (options: Options) =>
  Effect.gen(function* () {
    const url = yield* Settings.required("DATABASE_URL", options.databaseUrl)
    const natsUrl = yield* Settings.required("NATS_URL", options.natsUrl)
    const creds = Settings.natsCreds(options.natsCreds)
    const postgres = yield* Layer.build(Sql.layer({ url, max: 1, applicationName: "troupe identity" }))
    const sql = Context.get(postgres, Sql)
    const where = Settings.redacted(url)
    const database = yield* asked(where, () => Identity.read(sql))
    if (database === undefined) return yield* failure("TRP0503", where, "it has no table troupe.identity")
    const nats = yield* Layer.build(Nats.layer({ url: natsUrl, creds, name: "troupe identity" }))
    return { sql, nats, where, database } satisfies Servers
  })

export const asked = <A>(where: string, ask: () => Promise<A>): Effect.Effect<A, Failure> =>
  Effect.tryPromise({ try: ask, catch: (cause) => failure("TRP0501", where, reason(cause)) })

/** What the streams of a service say, for programs. */
export const marks = (
  service: string
): Effect.Effect<
  ReadonlyArray<{ readonly stream: string; readonly database: string | null }>,
  Effect.Error<ReturnType<typeof Mark.read>>,
  Nats | Scope.Scope
> =>
  Effect.map(Mark.read(service), (found) => found.map(({ mark, stream }) => ({ stream, database: mark?.id ?? null })))
