import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { add, counted, events, keys, lastOf, publish, trouble } from "./src/counting.ts"
import { broker } from "./src/setBack.ts"
import * as World from "./src/world.ts"

/** The newest cursors of a consumer, by partition. */
const cursors = ({ name, sql }: World.World, consumer: "Counter" | "log", stream: string) =>
  sql`select distinct on (m.p) m.cursors from troupe.mark m join troupe.consumer c on c.id = m.consumer
     where c.name = ${`${name}.${consumer}`} order by m.p, m.n desc`.then((rows) =>
    rows.map((row): number | undefined => JSON.parse(row["cursors"])[stream]?.seq)
  )

const gaps = ({ sql }: World.World) => sql`select stream, subject, reason from troupe.dead where code = 'TRP0407'`

it.live(
  "streams that are set back and filled by others are read on: nothing lost, nothing twice, nothing skipped",
  () =>
    Effect.gen(function* () {
      const server = yield* broker
      const world = yield* World.on({ natsUrl: server.url, adminUrl: process.env["DATABASE_URL"]! })
      const [commands, stored] = [`CMD_${world.name}`, `EVT_${world.name}`]
      const host = yield* world.start()
      yield* server.use((nats) => add(nats, world.name, 3))
      yield* counted(world, 3)
      yield* server.keep
      assert.strictEqual(yield* server.use((nats) => add(nats, world.name, 5)), 48)
      yield* counted(world, 8)
      assert.strictEqual(yield* server.use((nats) => lastOf(nats, stored)), 48)

      // Both streams forget 30 messages that were acknowledged and handled, and get 36 others before the host is there.
      const refilled = yield* server.setBack(async (nats) => {
        assert.strictEqual(await lastOf(nats, stored), 18, "it was set back")
        return await add(nats, world.name, 6)
      })
      assert.strictEqual(refilled, 54, "and filled by others")
      yield* counted(world, 14)
      const seen = yield* server.use((nats) => events(nats, world.name))
      for (const key of keys) {
        const totals = seen.filter((event) => event.key === key).map(({ total }) => total)
        assert.deepStrictEqual(
          totals,
          Array.from({ length: 14 }, (_, i) => i + 1),
          `${key}: the lane is whole again`
        )
      }
      assert.match((yield* Effect.promise(() => trouble(host))).join(), /TRP0408/)
      for (const [consumer, stream] of [
        ["Counter", commands],
        ["log", stored]
      ] as const) {
        const last = yield* server.use((nats) => lastOf(nats, stream))
        for (const seq of yield* Effect.promise(() => cursors(world, consumer, stream))) assert.isAtMost(seq ?? 0, last)
      }

      // The events alone go back, while the host is killed.
      const again = yield* server.setBack(
        (nats) => add(nats, world.name, 1),
        stored,
        Effect.andThen(
          Effect.sync(() => host.kill("SIGKILL")),
          host.ended
        )
      )
      assert.strictEqual(again, 60)
      assert.strictEqual(yield* server.use((nats) => lastOf(nats, stored)), 18, "it was set back")
      yield* world.start()
      yield* counted(world, 15)
      assert.deepStrictEqual(yield* Effect.promise(() => gaps(world)), [] as never)
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "retention is a gap for who was away, kept as a dead letter, and none for who was quiet",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const stream = `EVT_${world.name}`
      const host = yield* world.start({ lookEvery: 200 })
      yield* Effect.promise(() => add(world.nats, world.name, 2))
      yield* counted(world, 2)
      const last = yield* Effect.promise(() => lastOf(world.nats, stream))
      // All partitions move to the stream's end, also those without any message.
      for (const [consumer, read] of [
        ["Counter", `CMD_${world.name}`],
        ["log", stream]
      ] as const) {
        const end = yield* Effect.promise(() => lastOf(world.nats, read))
        yield* World.until(
          () => cursors(world, consumer, read),
          (seqs) => seqs.length === 16 && seqs.every((seq) => seq === end)
        )
      }
      const marks = () => world.sql`select consumer, p, n from troupe.mark order by 1, 2, 3`
      const written = yield* Effect.promise(marks)
      host.kill("SIGTERM")
      yield* host.ended
      assert.deepStrictEqual(yield* Effect.promise(marks), written, "and then write nothing more")
      yield* Effect.promise(() => world.jsm.streams.purge(stream, { seq: last + 1 }))
      const { first_seq } = (yield* Effect.promise(() => world.jsm.streams.info(stream))).state
      assert.strictEqual(first_seq, last + 1, "retention passed all of them")

      const second = yield* world.start({ lookEvery: 200 })
      yield* Effect.promise(() => add(world.nats, world.name, 1))
      yield* counted(world, 3)
      assert.deepStrictEqual(yield* Effect.promise(() => gaps(world)), [] as never)
      second.kill("SIGTERM")
      yield* second.ended

      // Events that the subscriber has not seen go away while no host runs.
      const lane = keys[0]!
      for (const total of [4, 5, 6, 7])
        yield* Effect.promise(() =>
          publish(world.nats, `evt.${world.name}.Counter.added.${lane}`, { n: 1, total }, 100 + total)
        )
      const end = yield* Effect.promise(() => lastOf(world.nats, stream))
      yield* Effect.promise(() => world.jsm.streams.purge(stream, { seq: end }))
      const third = yield* world.start({ lookEvery: 200 })
      const seen = yield* World.until(
        () => world.sql`select total from app.log where key = ${lane} order by id`,
        (rows) => rows.at(-1)?.["total"] === 7
      )
      assert.deepStrictEqual(
        seen.map((row) => row["total"]),
        [1, 2, 3, 7],
        "it goes on"
      )
      const found = yield* Effect.promise(() => gaps(world))
      const ofLane = found.filter((row) => row["stream"] === stream)
      assert.isNotEmpty(ofLane)
      assert.strictEqual(new Set(ofLane.map((row) => row["subject"])).size, ofLane.length, "each partition's once")
      assert.match(ofLane[0]!["reason"], new RegExp(`now begins at ${end}`))
      assert.match((yield* Effect.promise(() => trouble(third))).join(), /TRP0407/)
    }).pipe(Effect.scoped),
  120_000
)
