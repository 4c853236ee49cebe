import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { BenchError, failure } from "../BenchError.ts"
import * as Child from "../Child.ts"
import * as Hosts from "../counter/Hosts.ts"
import type * as Options from "../Options.ts"
import * as Peers from "../Peers.ts"
import { migrated, type Servers } from "../Servers.ts"
import type { Target } from "./driver.ts"

/** A system under the load: its service in a process of its own, its servers, and what it keeps. */
export interface System {
  readonly target: () => Target
  /** What a call that was answered survives. */
  readonly durability: string
  /** `kill -9` of its service, and of the server that is its own; then it is started again on what it kept. */
  readonly crash: Effect.Effect<void, BenchError>
}

type Start = (servers: Servers, options: Options.Options) => Effect.Effect<System, BenchError, Scope.Scope>

export const start = (name: Options.System): Start => starts[name]

const troupe: Start = (servers, { profile }) =>
  Effect.gen(function* () {
    const databaseUrl = yield* Effect.mapError(migrated(servers, "troupe"), (cause) => unusable("troupe", cause))
    const flags =
      profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`, "--cpu-prof-name=host.cpuprofile"]
    const service = yield* again(
      Effect.map(Hosts.start({ natsUrl: servers.natsUrl, databaseUrl }, flags), (child) => ({ child, url: "" }))
    )
    return {
      target: () => ({ natsUrl: servers.natsUrl }),
      durability: `state, inbox and outbox in ${servers.durability.postgres}; commands and events in ${servers.durability.jetstream}`,
      // A profile is written by a process that ends by itself.
      crash: service.restart(profile === undefined ? "SIGKILL" : "SIGTERM")
    }
  })

const restate: Start = () =>
  Effect.gen(function* () {
    const folder = yield* Peers.install
    const data = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "troupe-bench-restate-"))),
      (data) => Effect.sync(() => rmSync(data, { recursive: true, force: true, maxRetries: 5 }))
    )
    const [node, ingress, admin] = yield* Effect.all([freePort, freePort, freePort])
    const config = join(data, "restate.toml")
    writeFileSync(
      config,
      `base-dir = "${data}"\nlisten-mode = "tcp"\nbind-address = "127.0.0.1:${node}"\ndisable-telemetry = true
[ingress]\nbind-address = "127.0.0.1:${ingress}"\n[admin]\nbind-address = "127.0.0.1:${admin}"
[log-server]\nrocksdb-disable-wal-fsync = false\n`
    )
    const binary = join(
      folder,
      `node_modules/@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`
    )
    yield* Effect.try({
      try: () => chmodSync(binary, 0o755),
      catch: (cause) => unusable("restate", cause)
    })
    const server = yield* again(
      Effect.gen(function* () {
        const child = yield* Child.start(binary, ["--no-logo", "-c", config], { cwd: data })
        yield* answers(`http://127.0.0.1:${admin}/health`)
        return { child, url: "" }
      })
    )
    const endpoint = yield* again(peer(folder, "restate.mjs", {}))
    const register = Effect.suspend(() =>
      post(`http://127.0.0.1:${admin}/deployments`, { uri: endpoint.url(), force: true })
    )
    yield* register
    yield* answers(`http://127.0.0.1:${ingress}/restate/health`)
    return {
      target: () => ({ httpUrl: `http://127.0.0.1:${ingress}` }),
      durability: "journal and state in Restate 1.7, one node, WAL fsync on (default)",
      crash: Effect.all([server.restart("SIGKILL"), endpoint.restart("SIGKILL"), register], { discard: true })
    }
  })

const effectCluster: Start = (servers) =>
  Effect.gen(function* () {
    const folder = yield* Peers.install
    const databaseUrl = yield* servers.database("effect_cluster")
    const service = yield* again(peer(folder, "effectCluster.mjs", { databaseUrl }))
    return {
      target: () => ({ httpUrl: service.url() }),
      durability: `messages, replies and state in ${servers.durability.postgres}`,
      crash: service.restart("SIGKILL")
    }
  })

const dbos: Start = (servers) =>
  Effect.gen(function* () {
    const folder = yield* Peers.install
    const databaseUrl = yield* servers.database("dbos")
    const systemDatabaseUrl = yield* servers.database("dbos_system")
    const service = yield* again(peer(folder, "dbos.mjs", { databaseUrl, systemDatabaseUrl }))
    return {
      target: () => ({ httpUrl: service.url() }),
      durability: `workflows, steps and state in ${servers.durability.postgres}`,
      crash: service.restart("SIGKILL")
    }
  })

const starts: { readonly [name in Options.System]: Start } = { troupe, restate, effectCluster, dbos }

const unusable = (name: string, cause: unknown): BenchError =>
  cause instanceof BenchError
    ? cause
    : failure(
        "a system cannot be used here",
        name,
        cause instanceof Error ? cause.message : String(cause),
        "leave it out by --only"
      )

interface Running {
  readonly child: Child.Child
  readonly url: string
}

/** A process that can be ended and started again; all of them end with the scope. */
const again = (start: Effect.Effect<Running, BenchError, Scope.Scope>) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    let running = yield* start
    return {
      url: () => running.url,
      restart: (signal: "SIGKILL" | "SIGTERM") =>
        Effect.gen(function* () {
          running.child.kill(signal)
          yield* running.child.ended
          running = yield* Scope.provide(start, scope)
        })
    }
  })

/** A peer's service. */
const peer = (folder: string, file: string, settings: object): Effect.Effect<Running, BenchError, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Child.start(process.execPath, [join(folder, file), JSON.stringify(settings)], { cwd: folder })
    const [, url = ""] = yield* child.said(/^ready (\S+)/)
    return { child, url }
  })

const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Asks until it answers well; 30 s at most. */
const patiently = Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(300)])

const answers = (url: string) => Effect.retry(fetched(url, {}), patiently)

const post = (url: string, body: object) => {
  const headers = { "content-type": "application/json" }
  return Effect.retry(fetched(url, { method: "POST", headers, body: JSON.stringify(body) }), patiently)
}

const fetched = (url: string, init: RequestInit): Effect.Effect<void, BenchError> =>
  Effect.tryPromise({
    try: async () => {
      const response = await fetch(url, { ...init, signal: AbortSignal.timeout(5_000) })
      const text = await response.text()
      if (!response.ok) throw new Error(`${response.status} ${text.slice(0, 200)}`)
    },
    catch: (cause) => failure("a server does not answer", url, String(cause), "read its log")
  })
