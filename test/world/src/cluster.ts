import { randomInt, randomUUID } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { NatsServer } from "@troupe/embedded"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

/** A JetStream cluster on 127.0.0.1. Servers are named by their index, 0 to `servers - 1`. */
export interface Cluster {
  /** One for each server. */
  readonly urls: ReadonlyArray<string>
  /** As streams and consumers name them. */
  readonly names: ReadonlyArray<string>
  /** All of them in one, as `NATS_URL` takes it. */
  readonly url: string
  /** Path of each server's log. The logs of a run that failed are kept. */
  readonly logs: ReadonlyArray<string>
  /** Kills one server with SIGKILL; returns when its process is gone. */
  readonly kill: (server: number) => Effect.Effect<void>
  /** Starts a server again on its port and store; returns when it answers. It may still catch up. */
  readonly restart: (server: number) => Effect.Effect<void>
  /** The server that leads a stream; waits while none does. */
  readonly leaderOf: (stream: string) => Effect.Effect<number>
  /** Makes another replica lead a stream, which must have several; answers which one, once it does. */
  readonly stepDown: (stream: string) => Effect.Effect<number>
  /** Waits until all replicas of a stream are there and have all messages. */
  readonly caughtUp: (stream: string) => Effect.Effect<void>
}

/** Ends with the scope. `config` is appended to each server's configuration file. */
export const cluster = Effect.fnUntraced(function* (options: {
  readonly servers: number
  readonly config?: string
}): Effect.fn.Return<Cluster, unknown, Scope.Scope> {
  const base = yield* folder
  const name = `troupe-${randomUUID()}`
  const ports = yield* Effect.promise(() => freePorts(options.servers))
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ")
  const servers = yield* Effect.forEach(
    ports,
    (port, i) =>
      NatsServer.start({
        dir: join(base, `server-${i}`),
        config: `cluster { name: ${name}, listen: "127.0.0.1:${port}", routes: [${routes}] }\n${options.config ?? ""}`
      }),
    { concurrency: "unbounded" }
  )
  const urls = servers.map(({ url }) => url)
  const nats = yield* Effect.acquireRelease(
    Effect.promise(() =>
      connect({ servers: urls.map(addressOf), maxReconnectAttempts: -1, reconnectTimeWait: 100, timeout: 20_000 })
    ),
    (nats) => Effect.promise(() => nats.close())
  )
  const jsm = yield* Effect.promise(() => jetstreamManager(nats, { checkAPI: false }))
  const names = yield* Effect.forEach(urls, (url) => Effect.promise(() => nameOf(url)), { concurrency: "unbounded" })
  yield* Effect.promise(() => formed(jsm, options.servers)).pipe(patient("the cluster did not form"))

  /** Asked again until it is so: while a leader is elected nobody answers. */
  const found = <A>(what: string, look: () => Promise<A | undefined>): Effect.Effect<A> =>
    Effect.promise(() => look().catch(() => undefined)).pipe(
      Effect.repeat({ until: (found) => found !== undefined, schedule: Schedule.spaced("50 millis") }),
      patient(what)
    ) as Effect.Effect<A>
  const leader = async (stream: string): Promise<number | undefined> => {
    const { cluster } = await jsm.streams.info(stream)
    const index = names.indexOf(cluster?.leader ?? "")
    return index < 0 ? undefined : index
  }
  const leaderOf = (stream: string) => found(`${stream} has no leader`, () => leader(stream))
  return {
    urls,
    names,
    url: urls.join(","),
    logs: servers.map(({ log }) => log),
    kill: (server) => servers[server]!.kill("SIGKILL"),
    restart: (server) => Effect.orDie(servers[server]!.restart),
    leaderOf,
    stepDown: (stream) =>
      Effect.gen(function* () {
        const before = yield* leaderOf(stream)
        yield* found(`${stream} keeps its leader`, async () => {
          const { error } = (await nats.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`)).json<{ error?: object }>()
          return error === undefined ? true : undefined
        })
        return yield* found(`${stream} has no other leader`, async () => {
          const now = await leader(stream)
          return now === before ? undefined : now
        })
      }),
    caughtUp: (stream) =>
      Effect.asVoid(
        found(`replicas of ${stream} lag`, async () => {
          const { cluster, config } = await jsm.streams.info(stream)
          const replicas = cluster?.replicas ?? []
          const current = replicas.filter(({ current, offline }) => current && offline !== true)
          return cluster?.leader && current.length === config.num_replicas - 1 ? true : undefined
        })
      )
  }
})

const patient =
  (what: string) =>
  <A>(effect: Effect.Effect<A>): Effect.Effect<A> =>
    Effect.timeoutOrElse(effect, { duration: "60 seconds", orElse: () => Effect.die(new Error(`${what} in 60 s`)) })

/** Removed with the scope, unless it failed: then the logs tell why. */
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "troupe-cluster-"))),
  (path, exit) =>
    Exit.isSuccess(exit)
      ? Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
      : Effect.logInfo(`the logs of the cluster are in ${path}`)
)

const addressOf = (url: string): string => url.replace("nats://", "")

/** Of the server itself: it is found by it in what a stream says of its leader. */
const nameOf = async (url: string): Promise<string> => {
  const nats: NatsConnection = await connect({ servers: addressOf(url), reconnect: false })
  const name = nats.info?.server_name ?? ""
  await nats.close()
  return name
}

/** Only once a stream with a replica on each server can be made, the servers know each other. */
const formed = async (jsm: JetStreamManager, servers: number): Promise<void> => {
  const stream = { name: "FORMED", subjects: ["formed"], num_replicas: servers }
  while (true) {
    try {
      await jsm.streams.add(stream)
      await jsm.streams.delete(stream.name)
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** Below the range that systems hand to outgoing connections: nobody gets the port of a server that is down by chance. */
const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = randomInt(20_000, 32_000)
    if (await isFree(port)) ports.add(port)
  }
  return [...ports]
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)))
  })
