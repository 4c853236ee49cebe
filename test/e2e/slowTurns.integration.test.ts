import { assert, it } from "@effect/vitest"
import { send } from "@troupe/client"
import { Key } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as World from "./src/world.ts"

/** Keys of one partition. */
const p = 5
const keys = Array.from({ length: 1_000 }, (_, i) => `slow-${i}`)
  .filter((key) => Key.partition(Key.encode(key)!, 16) === p)
  .slice(0, 14)
const rounds = 2
const total = keys.length * rounds

/** ms. */
const now = () => performance.now()

it.live(
  "a partition whose turns are slow commits every few seconds, is given back in time, and repeats nothing after a kill",
  () =>
    Effect.gen(function* () {
      assert.strictEqual(keys.length, 14)
      const world = yield* World.make
      const { sql } = world
      const rows = () => sql`select key, n from app.recorded order by id`
      const owner = () =>
        sql`select h.name from troupe.partition t join troupe.consumer c on c.id = t.consumer join troupe.host h on h.id = t.host
             where c.name = ${`${world.name}.Counter`} and t.p = ${p}`.then(([row]) =>
          Number(String(row?.["name"]).split(" ")[1])
        )
      const first = yield* world.start()
      first.kill("SIGTERM")
      yield* first.ended
      // All wait when the first host comes: one batch.
      yield* Effect.provide(
        Effect.forEach(
          Array.from({ length: total }, (_, i) => i),
          (i) => send(world.contract.Counter.at(keys[i % keys.length]!).record({ n: i, ms: 1_000, then: "reply" }))
        ),
        world.client
      )

      const hosts = new Set<World.HostProcess>()
      const started = Effect.tap(world.start(), (host) => Effect.sync(() => hosts.add(host)))
      /** All of them live, whatever they wait for; and something is committed at least every 7 s, or after a take-over. */
      let last = now()
      let count = 0
      let longest = 0
      const watching = yield* Effect.gen(function* () {
        const seen = (yield* Effect.promise(rows)).length
        if (seen > count) {
          if (count > 0) longest = Math.max(longest, now() - last)
          last = now()
          count = seen
        }
        for (const host of hosts) {
          const status = yield* Effect.promise(() =>
            fetch(`${host.url}/livez`).then(
              ({ status }) => status,
              () => 0
            )
          )
          // It may have ended meanwhile.
          if (hosts.has(host)) assert.strictEqual(status, 200)
        }
      }).pipe(Effect.repeat(Schedule.spaced("100 millis")), Effect.forkScoped)
      const until = (wanted: number) =>
        Effect.raceFirst(
          World.until(
            async () => count,
            (seen) => seen >= wanted
          ),
          Fiber.join(watching)
        )
      /** Ends the host that has the partition, in the middle of a batch. */
      const end = (signal: NodeJS.Signals) =>
        Effect.gen(function* () {
          const pid = yield* World.until(owner, (pid) => [...hosts].some((host) => host.pid === pid))
          const host = [...hosts].find((host) => host.pid === pid)!
          hosts.delete(host)
          const since = now()
          host.kill(signal)
          const ended = yield* host.ended
          return { host, ended, took: now() - since }
        })

      yield* started
      yield* until(3)
      yield* started
      yield* until(8)
      const { ended: killed } = yield* end("SIGKILL")
      assert.deepStrictEqual(killed, { code: null, signal: "SIGKILL" })
      yield* started
      yield* until(15)
      const { ended, host, took } = yield* end("SIGTERM")
      assert.deepStrictEqual(ended, { code: 0, signal: null })
      assert.notInclude(host.output(), "took too long")
      assert.isBelow(took, 10_000)
      assert.isBelow(count, total, "it ended in the middle")
      yield* until(total)
      assert.isBelow(longest, 7_000)
      yield* Fiber.interrupt(watching)

      yield* World.settled(world)
      const found = yield* Effect.promise(rows)
      for (const [i, key] of keys.entries())
        assert.deepStrictEqual(
          found.filter((row) => row["key"] === key).map((row) => row["n"]),
          Array.from({ length: rounds }, (_, round) => round * keys.length + i),
          `${key}: once, in order`
        )
      const [row] = yield* Effect.promise(
        () => sql`select count(*)::int as n, count(distinct id)::int as ids from troupe.inbox where outcome = 'reply'`
      )
      assert.deepStrictEqual({ ...row }, { n: total, ids: total })
    }).pipe(Effect.scoped),
  120_000
)
