import { randomInt } from "node:crypto"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { Subject } from "@troupe/contract"
import { NatsServer, Postgres } from "@troupe/embedded"
import { nats, Policy } from "@troupe/permissions"
import { Migrations } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import caller from "./caller.ts"
import type { Place } from "./checks.ts"
import { Full, Silent } from "./contract.ts"
import * as Proxy from "./Proxy.ts"
import service from "./service.ts"

/** The servers that every runtime is checked against. */
export interface World {
  /** For the service's own user. */
  readonly natsUrl: string
  readonly databaseUrl: string
  /** Of the health endpoints; one host at a time has it. */
  readonly port: number
  readonly place: (transport: "tcp" | "ws") => Place
  /** What the control server answers to a GET: the page of the browser and its script. */
  serve(path: string, type: string, body: string): void
}

const password = "secret"

/** A nats-server with the compiled policy, PostgreSQL, proxies in front of the first, and a control server. */
export const start: Effect.Effect<World, unknown, Scope.Scope> = Effect.gen(function* () {
  const policies = [Policy.ofService(service), Policy.ofCaller(caller)]
  const variables = ["NATS", "COUNTING_NATS", "WEB_NATS"].map((user) => `${user}_PASSWORD: ${password}`)
  // Below the range of outgoing connections, as the other ports of these servers.
  const [wsPort, port] = [randomInt(20_000, 26_000), randomInt(26_000, 32_000)]
  const websocket = `websocket { listen: "127.0.0.1:${wsPort}", no_tls: true }`
  const [server, postgres] = yield* Effect.all(
    [NatsServer.start({ config: [websocket, ...variables, nats(policies)].join("\n") }), Postgres.start()],
    { concurrency: 2 }
  )
  const folder = fileURLToPath(new URL("../migrations", import.meta.url))
  yield* Migrations.run({ url: Redacted.make(postgres.url), folder })
  yield* streams(server.port)
  const proxies = { tcp: yield* Proxy.start(server.port), ws: yield* Proxy.start(wsPort) }
  const files = new Map<string, { readonly type: string; readonly body: string }>()
  const control = yield* controlled(files, {
    restart: Effect.andThen(server.kill("SIGKILL"), server.restart),
    stop: Effect.sync(() => Object.values(proxies).forEach((proxy) => proxy.stop())),
    go: Effect.sync(() => Object.values(proxies).forEach((proxy) => proxy.go()))
  })
  return {
    natsUrl: server.url.replace("//", `//${service.name}:${password}@`),
    databaseUrl: postgres.url,
    port,
    place: (transport) => ({
      servers: transport === "ws" ? `ws://127.0.0.1:${wsPort}` : server.url,
      proxied: `${transport === "ws" ? "ws" : "nats"}://127.0.0.1:${proxies[transport].port}`,
      control,
      user: caller.name,
      pass: password
    }),
    serve: (path, type, body) => void files.set(path, { type, body })
  }
})

/** The streams of services that are not there: one that takes everything, one that is full. */
const streams = (port: number) =>
  Effect.promise(async () => {
    const nc = await connect({ servers: `127.0.0.1:${port}`, user: "OPERATOR", pass: password })
    const jsm = await jetstreamManager(nc)
    for (const [{ "~service": name }, max_bytes] of [
      [Silent, 1_000_000],
      [Full, 1_000]
    ] as const) {
      const subjects = [Subject.accepted("cmd", name)]
      await jsm.streams.add({ name: Subject.stream("cmd", name), subjects, max_bytes, discard: "new" })
    }
    await nc.close()
  })

/** Serves files, and does what a POST asks for before it answers. */
const controlled = (
  files: ReadonlyMap<string, { readonly type: string; readonly body: string }>,
  does: { readonly [what: string]: Effect.Effect<void, unknown> }
) =>
  Effect.gen(function* () {
    const server = createServer((request, response) => {
      const path = (request.url ?? "").slice(1)
      const file = files.get(path)
      const act = request.method === "POST" ? does[path] : undefined
      if (act !== undefined)
        Effect.runPromise(act).then(
          () => response.end("done"),
          (error: unknown) => response.writeHead(500).end(String(error))
        )
      else if (file !== undefined) response.writeHead(200, { "content-type": file.type }).end(file.body)
      else response.writeHead(404).end("there is no such thing")
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    )
    const address = server.address()
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  })
