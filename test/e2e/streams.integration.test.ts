import { ask } from "@troupe/client"
import { jetstream } from "@nats-io/jetstream"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as World from "./src/world.ts"

const bytes = 1024 ** 2

/** Asks so many times, with about 4 kB each time. */
const fill = (world: World.World, count: number) => {
  const note = "x".repeat(4_000)
  return Effect.forEach(
    Array.from({ length: count }, (_, i) => i),
    (i) => ask(world.contract.Counter.at(`${note.slice(0, 150)}${i % 40}`).add({ n: 1 })),
    { concurrency: 10, discard: true }
  ).pipe(Effect.provide(world.client))
}

const state = (world: World.World) => async () => (await world.jsm.streams.info(`CMD_${world.name}`)).state

it.live(
  "handled commands make room before the stream is full, the oldest first, so that no sender is ever refused",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const limits = { maxBytes: bytes }
      const host = yield* world.start({ limits })
      // The fault: twice what the stream may hold, all of it younger than the history.
      let sent = 0
      while (sent < 2 * bytes) {
        yield* fill(world, 200)
        sent += 200 * 700
        yield* World.until(state(world), ({ bytes: held }) => held <= 0.5 * bytes)
      }
      const after = yield* Effect.promise(state(world))
      assert.isAbove(after.last_seq * 500, bytes, "more went through it than it may hold")
      assert.isAbove(after.messages, 0, "the youngest stay")
      assert.include(host.output(), "TRP0414")
      const metrics = yield* Effect.promise(async () => (await fetch(`${host.url}/metrics`)).text())
      assert.include(metrics, `troupe_stream_limit_bytes{stream="CMD_${world.name}"} ${bytes}`)
      assert.match(metrics, new RegExp(`troupe_stream_bytes\\{stream="CMD_${world.name}"\\} [1-9]`))
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "a partition without commands is not told of a loss because handled commands of others were purged",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const name = `CMD_${world.name}`
      const first = yield* world.start()
      yield* ask(world.contract.Counter.at("k").add({ n: 1 })).pipe(
        Effect.repeat({ times: 2 }),
        Effect.provide(world.client)
      )
      first.kill("SIGTERM")
      yield* first.ended
      // The fault: the stream begins behind the cursors of all other partitions, as after a purge by size or of an actor.
      const filter = (yield* Effect.promise(() => world.jsm.streams.getMessage(name, { seq: 1 })))!.subject
      assert.strictEqual((yield* Effect.promise(() => world.jsm.streams.purge(name, { filter }))).purged, 3)
      assert.strictEqual((yield* Effect.promise(state(world))).first_seq, 4)

      const second = yield* world.start()
      const ready = yield* Effect.promise(() => fetch(`${second.url}/readyz`))
      assert.deepInclude(yield* Effect.promise(() => ready.json()), { ok: true, trouble: [] })
      assert.lengthOf(yield* Effect.promise(() => world.sql`select from troupe.dead`), 0)
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "commands that wait are told of before their stream is full, in health and in the log, and are never purged",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const host = yield* world.start({ limits: { maxBytes: bytes } })
      // The fault: commands that no owner ever handles, of an actor that was removed, and whose consumer was not.
      yield* Effect.promise(
        () => world.sql`insert into troupe.consumer (name, partitions) values (${`${world.name}.Other`}, 16)`
      )
      const body = new Uint8Array(100_000)
      for (let i = 0; i < 9; i++)
        yield* Effect.promise(() => jetstream(world.nats).publish(`cmd.${world.name}.Other.go.k${i}`, body))
      const health = () => fetch(`${host.url}/readyz`).then((answer) => answer.text())
      assert.include(yield* World.until(health, (text) => text.includes("TRP0406")), "86 %")
      yield* World.until(
        async () => host.output(),
        (output) => output.includes("TRP0406")
      )
      const metrics = async () => (await fetch(`${host.url}/metrics`)).text()
      yield* World.until(metrics, (text) =>
        text.includes(`troupe_partitions_behind{consumer="${world.name}.unclaimed"} 0`)
      )
      assert.strictEqual((yield* Effect.promise(state(world))).messages, 9)
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "limits that are set are given to streams that exist, and one that the stream does not fit into is refused with its code",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const first = yield* world.start()
      const config = () => world.jsm.streams.info(`EVT_${world.name}`).then(({ config }) => config)
      assert.strictEqual((yield* Effect.promise(config)).max_bytes, 1024 ** 3)
      yield* fill(world, 20)
      first.kill("SIGTERM")
      yield* first.ended
      const second = yield* world.start({
        limits: { maxBytes: bytes, eventsKept: "7 days", duplicateWindow: "1 minute" }
      })
      const changed = yield* Effect.promise(config)
      assert.deepInclude(changed, { max_bytes: bytes, max_age: 7 * 86_400 * 1e9, duplicate_window: 60e9 })
      assert.include(second.output(), `max_bytes from ${1024 ** 3} to ${bytes}`)
      second.kill("SIGTERM")
      yield* second.ended

      const third = yield* world.start({ limits: { maxBytes: 1_000 } })
      assert.include(third.output(), "TRP0417")
      assert.strictEqual((yield* Effect.promise(config)).max_bytes, bytes)
      // What is not set stays.
      third.kill("SIGTERM")
      yield* third.ended
      yield* world.start()
      assert.deepInclude(yield* Effect.promise(config), { max_bytes: bytes, max_age: 7 * 86_400 * 1e9 })
    }).pipe(Effect.scoped),
  120_000
)
