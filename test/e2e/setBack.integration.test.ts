import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { headers as natsHeaders, type NatsConnection } from "@nats-io/transport-node"
import { assert, it } from "@effect/vitest"
import { Postgres } from "@troupe/embedded"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { broker, copy, folder } from "./src/setBack.ts"
import * as World from "./src/world.ts"

const keys = ["a", "b", "c", "d", "e", "f"]

/** Publishes so many `add`s of 1 to each key, and answers the stream's last sequence. */
const add = async (nats: NatsConnection, name: string, rounds: number): Promise<number> => {
  let last = 0
  for (let round = 0; round < rounds; round++) {
    for (const key of keys) last = (await publish(nats, `cmd.${name}.Counter.add.${key}`, { n: 1 })).seq
  }
  return last
}

const publish = (nats: NatsConnection, subject: string, payload: object, position?: number) => {
  const [, service, actor, what] = subject.split(".")
  const headers = natsHeaders()
  headers.set("ce-id", crypto.randomUUID())
  headers.set("ce-type", `${service}.${actor}.${what}`)
  headers.set("ce-source", "test")
  if (position !== undefined) headers.set("Troupe-Lane-Position", String(position))
  return jetstream(nats).publish(subject, JSON.stringify(payload), { headers })
}

const lastOf = async (nats: NatsConnection, stream: string): Promise<number> =>
  (await (await jetstreamManager(nats)).streams.info(stream)).state.last_seq

/** Waits until both the actor and its subscriber have counted so far; and looks whether each event was handled once, in order. */
const counted = ({ name, sql }: World.World, rounds: number) =>
  Effect.gen(function* () {
    yield* World.until(
      () =>
        sql`select count(*)::int as rows, (select array_agg(distinct s.body) from troupe.state s
              join troupe.consumer c on c.id = s.consumer where c.name = ${`${name}.Counter`}) as states from app.log`
          .then(([row]) => row as { readonly rows: number; readonly states: ReadonlyArray<string> | null })
          .catch(() => undefined),
      (seen) => (seen?.rows ?? 0) >= rounds * keys.length && seen?.states?.join() === String(rounds)
    )
    const rows = yield* Effect.promise(() => sql`select key, total, nth from app.log order by id`)
    const wanted = Array.from({ length: rounds }, (_, i) => [i + 1, i + 1])
    for (const key of keys) {
      const seen = rows.filter((row) => row["key"] === key).map((row) => [row["total"], row["nth"]])
      assert.deepStrictEqual(seen, wanted, `${key}: none lost, none twice, in order`)
    }
  })

/** The totals of each key's events as the stream has them. */
const events = async (nats: NatsConnection, name: string) => {
  const jsm = await jetstreamManager(nats)
  const { first_seq, last_seq } = (await jsm.streams.info(`EVT_${name}`)).state
  const found: Array<{ readonly key: string; readonly total: number; readonly id: string; readonly position: number }> =
    []
  for (let seq = first_seq; seq <= last_seq; seq++) {
    const message = await jsm.streams.getMessage(`EVT_${name}`, { seq })
    if (message === null) continue
    found.push({
      key: message.subject.split(".").at(-1)!,
      total: message.json<{ total: number }>().total,
      id: message.header.get("ce-id"),
      position: Number(message.header.get("Troupe-Lane-Position"))
    })
  }
  return found
}

/** The newest cursors of a consumer, by partition. */
const cursors = ({ name, sql }: World.World, consumer: "Counter" | "log", stream: string) =>
  sql`select distinct on (m.p) m.cursors from troupe.mark m join troupe.consumer c on c.id = m.consumer
     where c.name = ${`${name}.${consumer}`} order by m.p, m.n desc`.then((rows) =>
    rows.map((row): number | undefined => JSON.parse(row["cursors"])[stream]?.seq)
  )

const trouble = async (host: World.HostProcess): Promise<ReadonlyArray<string>> =>
  (await (await fetch(`${host.url}/readyz`)).json()).trouble

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

it.live(
  "a database that was set back handles the history again, and publishes what it emits",
  () =>
    Effect.gen(function* () {
      const kept = yield* folder
      const postgres = yield* Postgres.start()
      const down = postgres.kill("SIGKILL")
      const world = yield* World.on({ natsUrl: process.env["NATS_URL"]!, adminUrl: postgres.url })
      // So short that the stream takes the same ids again.
      const settings = { limits: { duplicateWindow: "100 millis" }, lookEvery: 300 } as const
      const host = yield* world.start(settings)
      yield* Effect.promise(() => add(world.nats, world.name, 2))
      yield* counted(world, 2)
      yield* World.settled(world)
      yield* down
      yield* copy(postgres.dataDir, join(kept, "data"))
      yield* postgres.restart
      yield* Effect.promise(() => add(world.nats, world.name, 3))
      yield* counted(world, 5)
      const before = yield* Effect.promise(() => events(world.nats, world.name))
      assert.strictEqual(new Set(before.map(({ id }) => id)).size, 30)

      const setBack = Effect.gen(function* () {
        yield* down
        yield* copy(join(kept, "data"), postgres.dataDir)
        yield* postgres.restart
      })
      const rows = () => world.sql`select 1 from app.log`.then(({ length }) => length).catch(() => -1)
      host.kill("SIGSTOP")
      yield* setBack
      yield* World.until(rows, (count) => count >= 0)
      assert.strictEqual(yield* Effect.promise(rows), 12, "it was set back")
      host.kill("SIGCONT")
      // Nothing new is sent: the host notices by itself.
      yield* counted(world, 5)
      const lost = [...new Set(before.slice(12).map(({ id }) => id))].sort()
      const redone = yield* World.until(
        () => events(world.nats, world.name),
        (found) => found.length >= before.length + lost.length
      )
      const again = redone.slice(before.length).map(({ id }) => id)
      assert.deepStrictEqual(again.sort(), lost, "the same ids")
      for (const [i, { key, position }] of redone.entries())
        for (const earlier of redone.slice(0, i)) if (earlier.key === key) assert.isAbove(position, earlier.position)
      assert.match((yield* Effect.promise(() => trouble(host))).join(), /TRP0509/)

      host.kill("SIGKILL")
      yield* host.ended
      yield* setBack
      yield* World.until(rows, (count) => count >= 0)
      assert.strictEqual(yield* Effect.promise(rows), 12, "it was set back again")
      const second = yield* world.start(settings)
      yield* Effect.promise(() => add(world.nats, world.name, 1))
      yield* counted(world, 6)
      const all = yield* World.until(
        () => events(world.nats, world.name),
        (found) => found.length >= redone.length + lost.length + keys.length
      )
      const third = new Set(all.slice(redone.length).map(({ id }) => id))
      assert.strictEqual(third.size, lost.length + keys.length)
      for (const id of lost) assert.isTrue(third.has(id), "and again")
      assert.match((yield* Effect.promise(() => trouble(second))).join(), /TRP0509/)
      yield* World.settled(world)
    }).pipe(Effect.scoped),
  120_000
)
