import { shift } from "@troupe/test-world/clock"
import { AckPolicy, jetstreamManager } from "@nats-io/jetstream"
import { assert, it } from "@effect/vitest"
import { after, askWithToken, subscribe } from "@troupe/client"
import { layer as client } from "@troupe/client/node"
import { Subject } from "@troupe/contract"
import { Gateway } from "@troupe/gateway"
import { serve } from "@troupe/gateway/node"
import { type Cluster, cluster } from "@troupe/test-world/cluster"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as World from "./src/world.ts"

const adminUrl = process.env["DATABASE_URL"] ?? "DATABASE_URL is not set"

/**
 * From the death of a server, or from when the others have elected leaders, which takes them 4 to 10 s; ms.
 * Two seconds of it are for a loaded machine.
 */
const soon = 7_000
const hour = 3_600_000

/** What reads a stream, or where a place is kept. */
interface Reader {
  readonly what: string
  /** The totals of its key that it has heard. */
  readonly heard: Array<number>
  readonly key: string
  /** The server that has to die: the one that keeps its consumer, or leads its stream. */
  readonly server: Effect.Effect<number>
}

/** The server that keeps the consumer with a filter. */
const consumers = (world: World.World, names: ReadonlyArray<string>) => (stream: string, filter: string) =>
  World.until(
    async () => {
      for await (const { cluster, config } of world.jsm.consumers.list(stream))
        if (config.filter_subject === filter) return names.indexOf(cluster?.leader ?? "")
      return -1
    },
    (server) => server >= 0
  )

/** Three servers, a host, and readers of every kind on streams with three replicas. */
const readers = (world: World.World, servers: Cluster) =>
  Effect.gen(function* () {
    const { contract, name } = world
    const { Counter } = contract
    const evt = Subject.stream("evt", name)
    const at = consumers(world, servers.names)
    const ofKey = (key: string) => at(evt, `evt.${name}.0.Counter.added.${key}`)
    const connected = yield* Layer.build(client({ servers: servers.urls, name: "reader" }))
    const hear = (what: string, key: string, options: object) =>
      Effect.gen(function* () {
        const heard: Array<number> = []
        const opened = Promise.withResolvers<void>()
        const events = subscribe(Counter.events.added, { key, ...options, onOpen: () => opened.resolve() })
        yield* Effect.forkScoped(
          Effect.provide(
            Stream.runForEach(events, ({ payload }) => Effect.sync(() => void heard.push(payload.total))),
            connected
          )
        )
        yield* Effect.promise(() => opened.promise)
        return { what, heard, key, server: ofKey(key) } satisfies Reader
      })

    const gateway = yield* serve(Gateway.make({ contracts: [contract], auth: "none" }), {
      host: "127.0.0.1",
      port: 0,
      client: client({ servers: servers.urls, name: "gateway" })
    })
    const page = { what: "an event stream of the gateway", heard: [] as Array<number>, key: "page" }
    const response = yield* Effect.promise(() => fetch(`${gateway}/v1/${name}/events?event=added&key=${page.key}`))
    assert.strictEqual(response.status, 200)
    const body = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    yield* Effect.addFinalizer(() => Effect.promise(() => body.cancel()))
    void (async () => {
      let rest = ""
      for (let next = await body.read(); !next.done; next = await body.read()) {
        const frames = (rest + next.value).split("\n\n")
        rest = frames.pop() ?? ""
        for (const frame of frames) {
          const data = /^data: (.*)$/m.exec(frame)?.[1]
          if (data !== undefined) page.heard.push(JSON.parse(data).data.total)
        }
      }
    })().catch(() => {})
    const durable = yield* hear("a durable subscription", "durable", { durable: "billing" })
    return [
      yield* hear("a subscription", "plain", {}),
      durable,
      {
        ...durable,
        what: "the place of a durable subscription",
        server: servers.leaderOf(Subject.stream("place", name))
      },
      { ...page, server: ofKey(page.key) },
      {
        what: "the subscriber of a host, which `after` waits for",
        heard: [],
        key: "own",
        server: at(evt, `evt.${name}.0.Counter.>`)
      },
      {
        what: "the actor of a host",
        heard: [],
        key: "own",
        server: at(Subject.stream("cmd", name), `cmd.${name}.0.Counter.>`)
      },
      { what: "all of them from the leader of the events", heard: [], key: "own", server: servers.leaderOf(evt) }
    ] satisfies ReadonlyArray<Reader>
  })

it.live(
  "every reader reads on within seconds when the server that keeps its consumer dies and stays dead",
  () =>
    Effect.gen(function* () {
      const servers = yield* cluster({ servers: 3 })
      const world = yield* World.on({ natsUrl: servers.url, adminUrl })
      yield* world.start({ limits: { replicas: 3, partitions: 1, maxBytes: 64 * 1024 ** 2 } })
      const all = yield* readers(world, servers)
      const streams = (["cmd", "evt", "place"] as const).map((kind) => Subject.stream(kind, world.name))
      const caller = yield* Layer.build(world.client)
      const jsm = yield* Effect.promise(() => jetstreamManager(world.nats, { timeout: 500 }))
      /** Resolves when all streams take consumers, which needs a leader of each and one of the cluster. */
      const serving = async () => {
        const config = { ack_policy: AckPolicy.None, mem_storage: true, inactive_threshold: 1_000_000_000 }
        for (const stream of streams)
          while (
            !(await jsm.consumers.add(stream, config).then(
              () => true,
              () => false
            ))
          );
      }
      const add = (key: string) => askWithToken(world.contract.Counter.at(key).add({ n: 1 }), { timeout: "50 seconds" })
      const keys = ["plain", "durable", "page", "own"]
      let nth = 0
      /** Everything is done and heard once more; how long it took from when that was possible, ms. */
      const round = Effect.fnUntraced(function* (dead: number | undefined) {
        nth++
        const elected = Effect.forEach(streams, (stream) =>
          Effect.repeat(servers.leaderOf(stream), {
            until: (leader) => leader !== dead,
            schedule: Schedule.spaced("50 millis")
          })
        )
        const possible = yield* Effect.forkChild(
          Effect.andThen(
            Effect.all([Effect.promise(serving), elected]),
            Effect.sync(() => performance.now())
          )
        )
        const tokens = yield* Effect.forEach(keys, add, { concurrency: "unbounded" })
        yield* Effect.forEach(tokens, ({ token }) => after(token, `${world.name}.log`, { timeout: "50 seconds" }), {
          concurrency: "unbounded"
        })
        const deaf = () => all.filter(({ heard, key }) => key !== "own" && heard.at(-1) !== nth).map(({ what }) => what)
        yield* World.until(
          async () => deaf(),
          (deaf) => deaf.length === 0
        )
        const done = performance.now()
        return done - (yield* Fiber.join(possible))
      }, Effect.provide(caller))
      yield* round(undefined)
      yield* Effect.addFinalizer(() => Effect.sync(() => shift(0)))
      for (const reader of all) {
        // While the clock is ahead heartbeats come; it is corrected when none will come any more.
        shift(hour)
        yield* Effect.forEach(streams, servers.caughtUp)
        const victim = yield* reader.server
        shift(0)
        yield* servers.kill(victim)
        assert.isBelow(yield* round(victim), soon, `${reader.what}: server ${victim} died`)
        yield* servers.restart(victim)
      }
      const upTo = Array.from({ length: nth }, (_, i) => i + 1)
      for (const { heard, key, what } of all) if (key !== "own") assert.deepStrictEqual(heard, upTo, what)
    }).pipe(Effect.scoped),
  240_000
)
