import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { NatsServer, Postgres } from "@troupe/embedded"
import { Migrations } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import postgres from "postgres"

/** One nats-server and one PostgreSQL, durable as they come, for all systems of a bench. */
export interface Servers {
  readonly natsUrl: string
  readonly nats: NatsConnection
  readonly jsm: JetStreamManager
  readonly admin: postgres.Sql
  /** Makes a database and answers its url. */
  database(name: string): Effect.Effect<string>
  /** What both do before they acknowledge. */
  readonly durability: { readonly postgres: string; readonly jetstream: string }
}

export const start = (options: { readonly syncAlways: boolean }): Effect.Effect<Servers, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const [server, database] = yield* Effect.all(
      [NatsServer.start({ syncAlways: options.syncAlways }), Postgres.start()],
      { concurrency: 2 }
    )
    const admin = yield* connected(database.url)
    const nats = yield* Effect.acquireRelease(
      Effect.promise(() => connect({ servers: server.url.replace("nats://", "") })),
      (nats) => Effect.promise(() => nats.close())
    )
    const settings = yield* Effect.promise(
      () => admin`select current_setting('server_version') as version, current_setting('fsync') as fsync,
        current_setting('synchronous_commit') as commit`
    )
    const { commit, fsync, version } = settings[0] ?? {}
    return {
      natsUrl: server.url,
      nats,
      jsm: yield* Effect.promise(() => jetstreamManager(nats)),
      admin,
      database: (name) =>
        Effect.promise(async () => {
          await admin.unsafe(`create database "${name}"`)
          return Object.assign(new URL(database.url), { pathname: `/${name}` }).href
        }),
      durability: {
        postgres: `PostgreSQL ${version} fsync=${fsync} synchronous_commit=${commit}`,
        jetstream: `nats-server ${nats.info?.version ?? ""} file storage sync_interval=${options.syncAlways ? "always" : "2m (default)"}`
      }
    }
  })

/** A client of one database. */
export const connected = (url: string): Effect.Effect<postgres.Sql, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => postgres(url, { max: 4, onnotice: () => {} })),
    (sql) => Effect.promise(() => sql.end({ timeout: 5 }))
  )

/** A database with the schema of a service. */
export const migrated = (servers: Servers, name: string): Effect.Effect<string, unknown> =>
  Effect.gen(function* () {
    const url = yield* servers.database(name)
    yield* Migrations.run({ url: Redacted.make(url) })
    return url
  })
