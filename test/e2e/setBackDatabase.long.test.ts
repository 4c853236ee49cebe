import { join } from "node:path"
import type { NatsConnection } from "@nats-io/transport-node"
import { assert, it } from "@effect/vitest"
import { ask, type Client, type ClientError } from "@troupe/client"
import { Key } from "@troupe/contract"
import { Postgres } from "@troupe/embedded"
import * as Effect from "effect/Effect"
import { add, counted, events, keys, lastOf, trouble } from "./src/counting.ts"
import { broker, copy, folder } from "./src/setBack.ts"
import * as World from "./src/world.ts"

/** Of partitions that none of these keys is in. */
const silent = Array.from({ length: 200 }, (_, i) => `silent-${i}`)
  .filter((key) => keys.every((other) => Key.partition(other, 16) !== Key.partition(key, 16)))
  .slice(0, 4)

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

/** Numbers below 2^32, the same for the same seed (mulberry32). */
const chances = (seed: number) => {
  let state = seed | 0
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** What a caller hears, to be compared. */
const heard = <A, E>(asking: Effect.Effect<A, E, Client>): Effect.Effect<string, never, Client> =>
  Effect.map(Effect.result(asking), (result) => {
    if (result._tag === "Success") return `reply ${result.success}`
    const error = result.failure as ClientError | { readonly _tag: "TooMuch"; readonly n: number }
    if (error._tag === "TooMuch") return `error ${error.n}`
    const { reason } = error
    return reason._tag === "Rejected" ? `rejected ${reason.code}` : reason._tag
  })

/** Of each key what is in its state. */
const totals = ({ name, sql }: World.World) =>
  sql`select s.key, s.body from troupe.state s join troupe.consumer c on c.id = s.consumer
     where c.name = ${`${name}.Counter`} order by s.key`.then((rows) => rows.map((row) => [row["key"], row["body"]]))

const stored = ({ sql }: World.World) =>
  sql`select (select count(*)::int from troupe.inbox) as inbox,
             (select count(*)::int from troupe.timer where due < clock_timestamp()) as due`
    .then(([row]) => row as { readonly inbox: number; readonly due: number })
    .catch(() => undefined)

for (const [seed, how] of [
  [7, "its host goes on"],
  [8, "its host is replaced"],
  [9, "its host is replaced twice"]
] as const) {
  const replaced = how !== "its host goes on"
  const twice = how === "its host is replaced twice"
  it.live(
    `a database is set back, and ${how}: each id keeps its answer, though its time is over, and no timer fires that was cancelled`,
    () =>
      Effect.gen(function* () {
        const chance = chances(seed)
        const kept = yield* folder
        const postgres = yield* Postgres.start()
        const down = postgres.kill("SIGKILL")
        const world = yield* World.on({ natsUrl: process.env["NATS_URL"]!, adminUrl: postgres.url })
        const settings = { limits: { duplicateWindow: "100 millis" }, lookEvery: 300 } as const
        const counter = (key: string) => world.contract.Counter.at(key)
        let host = yield* world.start(settings)
        yield* Effect.gen(function* () {
          for (const key of keys) {
            yield* ask(counter(key).later({ name: "t", ms: 12_000, n: 900, then: "reply" }))
            yield* ask(counter(key).add({ n: 1 }))
          }
          yield* World.settled(world)
          yield* down
          yield* copy(postgres.dataDir, join(kept, "data"))
          yield* postgres.restart
          yield* World.until(
            () => stored(world),
            (seen) => seen !== undefined
          )

          // What is answered from here on will be forgotten.
          const answers = new Map<string, readonly [() => Effect.Effect<string, never, Client>, string]>()
          const say = (id: string, key: string, what: number, timeout: "4 seconds" | "30 seconds" | "50 millis") => {
            const at = counter(key)
            const options = { id, timeout }
            if (what === 0) return heard(ask(at.spread({ to: [keys[chance(keys.length)]!, key] }), options))
            if (what === 1) return heard(ask(at.add({ n: 2_000 }), options))
            if (silent.includes(key)) return heard(ask(at.record({ n: what, then: "reply" }), options))
            if (what === 2) return heard(ask(at.later({ name: "t", ms: null, n: 0, then: "reply" }), options))
            return heard(ask(at.add({ n: what }), options))
          }
          const remember = (id: string, key: string, what: number, answer: string) => {
            assert.notInclude(["TimedOut", "NotConnected"], answer)
            // The same request: chance must not choose another one.
            const again = what === 0 ? () => Effect.succeed(answer) : () => say(id, key, what, "30 seconds")
            answers.set(id, [again, answer])
          }
          const round = (from: number, count: number) =>
            Effect.forEach(
              Array.from({ length: count }, (_, i) => from + i),
              (i) => {
                const [key, what] = [keys[chance(keys.length)]!, chance(8)]
                return Effect.map(say(`ask-${i}`, key, what, "4 seconds"), (answer) =>
                  remember(`ask-${i}`, key, what, answer)
                )
              },
              { concurrency: 4, discard: true }
            )
          // Nothing is heard of these: only other partitions show that they were set back, until their next owner has noted it.
          for (const [i, key] of (twice ? [] : [...silent, ...silent]).entries())
            remember(`silent-${i}`, key, 3 + i, yield* say(`silent-${i}`, key, 3 + i, "4 seconds"))
          yield* round(0, 30)
          for (const [i, key] of keys.entries()) {
            remember(`cancel-${i}`, key, 2, yield* say(`cancel-${i}`, key, 2, "4 seconds"))
            remember(`one-${i}`, key, 3, yield* say(`one-${i}`, key, 3, "4 seconds"))
          }
          // Some are too late: their host is away.
          host.kill("SIGTERM")
          yield* host.ended
          for (const [i, key] of keys.entries())
            assert.strictEqual(yield* say(`late-${i}`, key, 100 + i, "50 millis"), "TimedOut")
          host = yield* world.start(settings)
          for (const [i, key] of keys.entries()) {
            const answer = yield* say(`late-${i}`, key, 100 + i, "30 seconds")
            assert.strictEqual(answer, "rejected TRP0212")
            remember(`late-${i}`, key, 100 + i, answer)
          }
          yield* round(30, 30)
          yield* World.settled(world)
          const before = yield* Effect.promise(() => totals(world))
          const { inbox } = (yield* Effect.promise(() => stored(world)))!

          host.kill(replaced ? "SIGKILL" : "SIGSTOP")
          if (replaced) yield* host.ended
          yield* down
          yield* copy(join(kept, "data"), postgres.dataDir)
          yield* postgres.restart
          const back = yield* World.until(
            () => stored(world),
            (seen) => seen?.due === keys.length
          )
          assert.isBelow(back!.inbox, inbox, "it was set back, and the timers of then are due")
          assert.notDeepEqual(yield* Effect.promise(() => totals(world)), before)
          if (twice) {
            // It has noted the set-back, and dies while it handles again what was lost.
            const dead = yield* world.start({ ...settings, crash: { point: "after commit", nth: 40 } })
            assert.deepStrictEqual(yield* dead.ended, { code: null, signal: "SIGKILL" })
            assert.include(dead.output(), "crash: after commit")
            const [row] = yield* Effect.promise(
              () => world.sql`select count(*)::int as n from troupe.mark where cursors like '%"redo"%'`
            )
            assert.isAbove(row!["n"], 0)
          }
          if (replaced) host = yield* world.start(settings)
          else host.kill("SIGCONT")

          const again = yield* Effect.forEach(answers, ([id, [say]]) => Effect.map(say(), (answer) => [id, answer]), {
            concurrency: 16
          })
          assert.deepStrictEqual(
            again,
            [...answers].map(([id, [, answer]]) => [id, answer])
          )
          yield* World.settled(world)
          assert.deepStrictEqual(yield* Effect.promise(() => totals(world)), before)
          yield* World.until(
            () => world.sql`select count(*)::int as n from troupe.timer`,
            ([row]) => row?.["n"] === 0
          )
          if (!twice) assert.match((yield* Effect.promise(() => trouble(host))).join(), /TRP0509/)
        }).pipe(Effect.provide(world.client))
      }).pipe(Effect.scoped),
    120_000
  )
}

it.live(
  "a database is set back to where its streams had been set back before: each id keeps its answer, and no timer fires that was cancelled",
  () =>
    Effect.gen(function* () {
      const kept = yield* folder
      const server = yield* broker
      const postgres = yield* Postgres.start()
      const down = postgres.kill("SIGKILL")
      const world = yield* World.on({ natsUrl: server.url, adminUrl: postgres.url })
      const settings = { limits: { duplicateWindow: "100 millis" }, lookEvery: 300 } as const
      const counter = (key: string) => world.contract.Counter.at(key)
      const ends = async (nats: NatsConnection) => {
        const [commands, events] = [await lastOf(nats, `CMD_${world.name}`), await lastOf(nats, `EVT_${world.name}`)]
        return { commands, events }
      }
      const start = world.start(settings)
      const stop = (host: World.HostProcess) =>
        Effect.andThen(
          Effect.sync(() => host.kill("SIGKILL")),
          host.ended
        )
      let host = yield* start
      yield* Effect.gen(function* () {
        for (const key of keys) {
          yield* ask(counter(key).later({ name: "t", ms: 15_000, n: 900, then: "reply" }))
          yield* ask(counter(key).add({ n: 1 }))
        }
        yield* World.settled(world)
        yield* server.keep
        for (const key of [...keys, ...keys, ...keys]) yield* ask(counter(key).add({ n: 1 }))
        yield* World.settled(world)
        const whole = yield* server.use(ends)
        yield* stop(host)
        const left = yield* server.setBack(ends)
        assert.isBelow(left.commands, whole.commands, "the streams were set back")
        assert.isBelow(left.events, whole.events)
        yield* down
        yield* copy(postgres.dataDir, join(kept, "data"))
        yield* postgres.restart

        // What is answered from here on is forgotten by the database, whose cursors are beyond the ends of the streams.
        host = yield* start
        const say = (timeout: "4 seconds" | "30 seconds") =>
          Effect.forEach(
            keys,
            (key) =>
              Effect.all([
                heard(
                  ask(counter(key).later({ name: "t", ms: null, n: 0, then: "reply" }), { id: `c-${key}`, timeout })
                ),
                heard(ask(counter(key).add({ n: 5 }), { id: `a-${key}`, timeout }))
              ]),
            { concurrency: 4 }
          )
        const answers = yield* say("4 seconds")
        yield* World.settled(world)
        const before = yield* Effect.promise(() => totals(world))
        yield* stop(host)
        yield* down
        yield* copy(join(kept, "data"), postgres.dataDir)
        yield* postgres.restart
        yield* World.until(
          () => stored(world),
          (seen) => seen?.due === keys.length
        )
        host = yield* start
        assert.deepStrictEqual(yield* say("30 seconds"), answers)
        yield* World.settled(world)
        assert.deepStrictEqual(yield* Effect.promise(() => totals(world)), before)
        assert.match((yield* Effect.promise(() => trouble(host))).join(), /TRP0509/)
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  120_000
)
