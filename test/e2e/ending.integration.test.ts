import { connect } from "node:net"
import { assert, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as World from "./src/world.ts"

it.live(
  "SIGTERM does not wait for half a request",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const host = yield* world.start()
      const url = new URL(host.url)
      let heard = ""
      const socket = yield* Effect.acquireRelease(
        Effect.promise<ReturnType<typeof connect>>(
          () =>
            new Promise((resolve, reject) => {
              const socket = connect(Number(url.port), url.hostname, () => resolve(socket)).once("error", reject)
            })
        ),
        (socket) => Effect.sync(() => socket.destroy())
      )
      socket.on("error", () => {}).on("data", (data) => (heard += data.toString()))
      socket.write("GET /livez HTTP/1.1\r\nHost: here\r\nX-Half")
      // Connections are accepted in order: when this one was served, the other one is there.
      assert.strictEqual((yield* Effect.promise(() => fetch(`${host.url}/livez`))).status, 200)
      const since = performance.now()
      host.kill("SIGTERM")
      assert.deepStrictEqual(yield* host.ended, { code: 0, signal: null })
      assert.isBelow(performance.now() - since, 5_000)
      assert.strictEqual(heard, "", "it was never whole")
    }).pipe(Effect.scoped),
  60_000
)

/** Holds a lock on a table until `release`, so that every commit waits. */
const lock = (world: World.World, table: string) =>
  Effect.gen(function* () {
    const held = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const holder = world.sql.begin(async (tx) => {
      await tx.unsafe(`lock table ${table} in access exclusive mode`)
      held.resolve()
      await release.promise
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => release.resolve()))
    yield* Effect.promise(() => held.promise)
    return Effect.promise(async () => {
      release.resolve()
      await holder
    })
  })

const blocked = (world: World.World) => () =>
  world.sql<Array<{ pid: number }>>`select pid from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like '%commit_v3%'`

it.live(
  "a host that drains answers that it is not ready, and ends when what is at hand is committed",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const host = yield* world.start()
      const release = yield* lock(world, "troupe.mark")
      const add = ask(world.contract.Counter.at("k").add({ n: 1 }), { timeout: "30 seconds" })
      const asking = yield* Effect.forkScoped(Effect.provide(add, world.client))
      yield* World.until(blocked(world), (rows) => rows.length > 0)
      host.kill("SIGTERM")
      const body = yield* World.until(
        async () =>
          (await fetch(`${host.url}/readyz`)).json() as Promise<{ ok: boolean; trouble: ReadonlyArray<string> }>,
        ({ ok }) => !ok
      )
      assert.strictEqual(body.trouble[0], "the host is about to end")
      assert.strictEqual((yield* Effect.promise(() => fetch(`${host.url}/livez`))).status, 200)
      yield* release
      assert.strictEqual(yield* Fiber.join(asking), 1, "it was answered before the end")
      assert.deepStrictEqual(yield* host.ended, { code: 0, signal: null })
      assert.notInclude(host.output(), "took too long")
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "a partition with a backlog that loses a commit goes on",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const count = 3_000
      const host = yield* world.start()
      const release = yield* lock(world, "troupe.mark")
      const asking = yield* Effect.forkScoped(
        Effect.provide(
          Effect.forEach(
            Array.from({ length: count }, (_, i) => i),
            () => ask(world.contract.Counter.at("k").add({ n: 1 }), { timeout: "50 seconds" }),
            { concurrency: "unbounded", discard: true }
          ),
          world.client
        )
      )
      // The mailbox takes 1 000, beside the batch that waits for its commit.
      const delivered = async () => {
        let most = 0
        for await (const { delivered } of world.jsm.consumers.list(`CMD_${world.name}`)) {
          most = Math.max(most, delivered.consumer_seq)
        }
        return most
      }
      yield* World.until(delivered, (n) => n > 1_000)
      const waiting = yield* World.until(blocked(world), (rows) => rows.length > 0)
      const ended = yield* Effect.promise(
        () =>
          world.sql`select pg_terminate_backend(pid) as ended from unnest(${waiting.map(({ pid }) => pid)}::int[]) pid`
      )
      assert.isTrue(ended.every((row) => row["ended"]))
      yield* release
      yield* Fiber.join(asking)
      const total = ask(world.contract.Counter.at("k").add({ n: 0 }), { timeout: "30 seconds" })
      assert.strictEqual(yield* Effect.provide(total, world.client), count)
      host.kill("SIGTERM")
      assert.deepStrictEqual(yield* host.ended, { code: 0, signal: null })
      assert.notInclude(host.output(), "took too long")
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "commands that were handled are purged once their window is over, but for each cursor's own",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const limits = { commandsKept: "0 millis" } as const
      const first = yield* world.start({ limits })
      const counter = (i: number) => world.contract.Counter.at(`k${i % 20}`)
      const addAll = Effect.forEach(
        Array.from({ length: 200 }, (_, i) => i),
        (i) => ask(counter(i).add({ n: 1 })),
        { concurrency: 20 }
      )
      yield* Effect.provide(addAll, world.client)
      first.kill("SIGTERM")
      yield* first.ended
      yield* world.start({ limits })
      const messages = () => world.jsm.streams.info(`CMD_${world.name}`).then(({ state }) => state.messages)
      assert.isAbove(yield* World.until(messages, (n) => n <= 16), 0)
      assert.strictEqual(
        yield* Effect.provide(ask(counter(0).add({ n: 1 })), world.client),
        11,
        "nothing was lost with them"
      )
    }).pipe(Effect.scoped),
  60_000
)
