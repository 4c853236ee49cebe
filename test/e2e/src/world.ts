import { fileURLToPath } from "node:url"
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import type { Client } from "@troupe/client"
import { layer as client } from "@troupe/client/node"
import { Migrations } from "@troupe/postgres"
import { connected, type HostProcess, startHost, unsettled, until } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Sql } from "postgres"
import { counters, tables } from "./counters.ts"
import { type EdgeProcess, type Runtime, start as startEdge } from "./edge/programs.ts"
import type { Settings } from "./host.ts"

/** A service of its own on the shared servers: its name, its database, and ways to look at both. */
export interface World {
  readonly name: string
  readonly natsUrl: string
  readonly databaseUrl: string
  readonly sql: Sql
  readonly nats: NatsConnection
  readonly jsm: JetStreamManager
  readonly contract: ReturnType<typeof counters>["contract"]
  readonly service: ReturnType<typeof counters>["service"]
  readonly client: Layer.Layer<Client>
  /** Starts a host in a process of its own and waits until it is ready, or has ended. */
  start(settings?: Partial<Settings>): Effect.Effect<HostProcess, never, Scope.Scope>
}

/** A world whose handlers run at an edge, on servers that are shared. */
export interface EdgeWorld extends World {
  readonly edge: EdgeProcess
}

export { type HostProcess, until } from "@troupe/test-world"

let worlds = 0

/** A world on the servers that all integration tests share. */
export const make: Effect.Effect<World, unknown, Scope.Scope> = Effect.suspend(() =>
  on({ natsUrl: process.env["NATS_URL"]!, adminUrl: process.env["DATABASE_URL"]! })
)

/** The same, with the handlers of the counters in a process of its own. */
export const atEdge = (runtime: Runtime): Effect.Effect<EdgeWorld, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const world = yield* make
    const edge = yield* startEdge(runtime, world.name)
    const { secret, url } = edge
    return { ...world, edge, start: (settings) => world.start({ edge: { url, secrets: [secret] }, ...settings }) }
  })

/** A world on servers of its own, which a test may kill. */
export const on = Effect.fnUntraced(function* (servers: {
  readonly natsUrl: string
  readonly adminUrl: string
}): Effect.fn.Return<World, unknown, Scope.Scope> {
  const name = `counters-${process.pid}-${++worlds}`
  const { adminUrl: admin, natsUrl } = servers
  const database = name.replaceAll("-", "_")
  const databaseUrl = Object.assign(new URL(admin), { pathname: `/${database}` }).href
  const server = yield* connected(admin)
  yield* Effect.acquireRelease(
    Effect.promise(() => server.unsafe(`create database ${database}`)),
    () => Effect.promise(() => server.unsafe(`drop database ${database} with (force)`))
  )
  yield* Migrations.run({ url: Redacted.make(databaseUrl) })
  const sql = yield* connected(databaseUrl)
  yield* Effect.promise(() => sql.unsafe(tables))
  const nats = yield* Effect.acquireRelease(
    Effect.promise(() => connect({ servers: addresses(natsUrl), maxReconnectAttempts: -1, reconnectTimeWait: 100 })),
    (nats) => Effect.promise(() => nats.close())
  )
  const jsm = yield* Effect.promise(() => jetstreamManager(nats))
  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => {
      for (const stream of [`CMD_${name}`, `EVT_${name}`]) await jsm.streams.delete(stream).catch(() => {})
    })
  )
  return {
    ...counters(name),
    name,
    natsUrl,
    databaseUrl,
    sql,
    nats,
    jsm,
    client: Layer.orDie(client({ servers: natsUrl.split(",") })),
    start: (settings) => startHost(host, { name, natsUrl, databaseUrl, ...settings })
  }
})

const addresses = (urls: string): Array<string> => urls.split(",").map((url) => url.replace("nats://", ""))

const host = fileURLToPath(new URL("./host.ts", import.meta.url))

/**
 * Every row of the outbox is in its stream, and every message of both streams is handled: the newest marks stand at the
 * last message of each partition.
 */
export const settled = (world: World): Effect.Effect<void> =>
  Effect.asVoid(
    until(
      () => unsettled({ ...world, actor: "Counter", subscriber: "log" }),
      (what) => what === undefined
    )
  )
