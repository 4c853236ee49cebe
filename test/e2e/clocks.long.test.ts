import { shift } from "@troupe/test-world/clock"
import { createServer, type AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { ask, type Client, layer as overWebSocket, type ClientError } from "@troupe/client"
import { layer as overTcp } from "@troupe/client/node"
import { NatsServer } from "@troupe/embedded"
import { type Link, make as makeLink } from "@troupe/test-world/link"
import * as Effect from "effect/Effect"
import * as World from "./src/world.ts"

const adminUrl = process.env["DATABASE_URL"] ?? "DATABASE_URL is not set"
const hour = 3_600_000
/** Soon for a loaded machine; an hour is what it was. */
const soon = 10_000

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Servers with a host, and links to NATS that can be cut: one for TCP, one for WebSocket. */
const linked = Effect.gen(function* () {
  const wsPort = yield* freePort
  const nats = yield* NatsServer.start({ config: `websocket { listen: "127.0.0.1:${wsPort}", no_tls: true }` })
  const world = yield* World.on({ natsUrl: nats.url, adminUrl })
  const tcp = yield* makeLink(nats.port)
  const ws = yield* makeLink(wsPort)
  return { nats, world, tcp, ws, tcpUrl: `nats://127.0.0.1:${tcp.port}`, wsUrl: `ws://127.0.0.1:${ws.port}` }
})

const took = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
  Effect.gen(function* () {
    const since = performance.now()
    yield* effect
    return performance.now() - since
  })

/** It tried in vain: nats.js has noted the time of an attempt. */
const refused = (link: Link) =>
  World.until(
    async () => link.refused(),
    (times) => times >= 2
  )

/** Cuts the link while `set` has the clock an hour ahead, and mends it when the clock is right again. */
const cutWhileAhead = (link: Link, set: (ms: number) => Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    yield* set(hour)
    assert.strictEqual(link.cut(), 1)
    yield* refused(link)
    yield* set(0)
    link.mend()
  })

const own = (ms: number) => Effect.sync(() => shift(ms))

describe("a clock that was an hour ahead and is corrected while the connection is lost", () => {
  it.live(
    "keeps no host from its work: it answers within seconds",
    () =>
      Effect.gen(function* () {
        const { tcp, tcpUrl, world } = yield* linked
        const host = yield* world.start({ natsUrl: tcpUrl })
        const add = ask(world.contract.Counter.at("k").add({ n: 1 }), { timeout: "30 seconds" }).pipe(
          Effect.provide(world.client)
        )
        assert.strictEqual(yield* add, 1)
        const clock = () =>
          Number(
            host
              .output()
              .match(/^clock (\d+)$/gm)
              ?.at(-1)
              ?.slice(6) ?? 0
          )
        yield* cutWhileAhead(tcp, (ms) => {
          host.tell({ clock: ms })
          return World.until(
            async () => Math.abs(clock() - Date.now() - ms) < 60_000,
            (is) => is
          )
        })
        assert.isBelow(yield* took(add), soon)
      }).pipe(Effect.scoped),
    60_000
  )

  const client = (
    what: string,
    dial: typeof overTcp,
    at: (servers: Effect.Success<typeof linked>) => readonly [Link, string]
  ) =>
    it.live(
      `keeps no client from its answers over ${what}`,
      () =>
        Effect.gen(function* () {
          const servers = yield* linked
          const [link, url] = at(servers)
          const { world } = servers
          yield* world.start()
          yield* Effect.addFinalizer(() => own(0))
          const add = ask(world.contract.Counter.at("k").add({ n: 1 }), { timeout: "30 seconds" })
          yield* Effect.gen(function* () {
            assert.strictEqual(yield* add, 1)
            yield* cutWhileAhead(link, own)
            assert.isBelow(yield* took(add), soon)
          }).pipe(Effect.provide(dial({ servers: url })))
        }).pipe(Effect.scoped),
      60_000
    )
  client("TCP", overTcp, ({ tcp, tcpUrl }) => [tcp, tcpUrl])
  client("WebSocket", overWebSocket, ({ ws, wsUrl }) => [ws, wsUrl])
})

describe("a connection that stays open and says nothing", () => {
  it.live(
    "is replaced within seconds by a host",
    () =>
      Effect.gen(function* () {
        const { tcp, tcpUrl, world } = yield* linked
        yield* world.start({ natsUrl: tcpUrl })
        const add = ask(world.contract.Counter.at("k").add({ n: 1 }), { timeout: "30 seconds" }).pipe(
          Effect.provide(world.client)
        )
        assert.strictEqual(yield* add, 1)
        assert.strictEqual(tcp.strand(), 1)
        assert.isBelow(yield* took(add), soon)
        assert.isAbove(tcp.hindered(), 0, "it was asked over the dead connection")
      }).pipe(Effect.scoped),
    60_000
  )

  /** More than the buffers of both sockets and of the link take. */
  const burst = (world: World.World): Effect.Effect<unknown, ClientError, Client> =>
    Effect.forEach(
      Array.from({ length: 60 }, (_, i) => i),
      (i) =>
        ask(world.contract.Counter.at(`k-${i}`).abuse({ statement: `select 1 -- ${"x".repeat(400_000)}` }), {
          timeout: "50 seconds"
        }),
      { concurrency: "unbounded" }
    )
  const client = (
    what: string,
    dial: typeof overTcp,
    at: (servers: Effect.Success<typeof linked>) => readonly [Link, string]
  ) =>
    it.live(
      `is replaced within seconds by a client over ${what}, though what it sent fills all buffers`,
      () =>
        Effect.gen(function* () {
          const servers = yield* linked
          const [link, url] = at(servers)
          const { world } = servers
          yield* world.start()
          const add = ask(world.contract.Counter.at("k").add({ n: 1 }), { timeout: "30 seconds" })
          yield* Effect.gen(function* () {
            assert.strictEqual(yield* add, 1)
            assert.strictEqual(link.strand(), 1)
            assert.isBelow(yield* took(burst(world)), 30_000)
            assert.isAbove(link.hindered(), 0, "it was sent over the dead connection")
          }).pipe(Effect.provide(dial({ servers: url })))
        }).pipe(Effect.scoped),
      90_000
    )
  client("TCP", overTcp, ({ tcp, tcpUrl }) => [tcp, tcpUrl])
  client("WebSocket", overWebSocket, ({ ws, wsUrl }) => [ws, wsUrl])
})
