import { assert, it } from "@effect/vitest"
import { ask, send } from "@troupe/client"
import * as Effect from "effect/Effect"
import * as World from "./src/world.ts"

/** A value for each series: `name{label="value"}`. */
const read = async (url: string): Promise<ReadonlyMap<string, number>> => {
  const text = await (await fetch(`${url}/metrics`)).text()
  return new Map(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))])
  )
}

it.live(
  "the host says what it did, by consumer and outcome, and names no key",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const host = yield* world.start({ parking: { attempts: 1 } })
      assert.strictEqual((yield* Effect.promise(() => fetch(`${host.url}/startupz`))).status, 200)
      const counter = world.contract.Counter.at("secret")
      yield* Effect.gen(function* () {
        for (const n of [1, 2, 3]) yield* ask(counter.add({ n }))
        yield* Effect.flip(ask(counter.add({ n: 2_000 })))
        yield* Effect.flip(ask(counter.flaky({ times: 9 })))
        yield* send(counter.add({ n: 4 }))
      }).pipe(Effect.provide(world.client))
      yield* World.settled(world)

      const actor = `${world.name}.Counter`
      const log = `${world.name}.log`
      // What a commit did is counted right after it.
      const relayed = `troupe_relay_published_total{stream="EVT_${world.name}"}`
      const found = yield* World.until(
        () => read(host.url),
        (found) => found.get(`troupe_turns_total{consumer="${log}",outcome="event"}`) === 4 && found.get(relayed) === 4
      )
      for (const [series, value] of [
        [`troupe_turns_total{consumer="${actor}",outcome="reply"}`, 4],
        [`troupe_turns_total{consumer="${actor}",outcome="error"}`, 1],
        [`troupe_turns_total{consumer="${actor}",outcome="rejected"}`, 1],
        [`troupe_turn_batch_size_sum{consumer="${actor}"}`, 6],
        [`troupe_dead_letters_total{consumer="${actor}"}`, 1],
        [`troupe_partitions_owned{consumer="${actor}"}`, 16],
        [`troupe_consumer_pending{consumer="${log}"}`, 0],
        ["troupe_parked", 0]
      ] as const) {
        assert.strictEqual(found.get(series), value, `${series} in ${[...found.keys()].join("\n")}`)
      }
      assert.isAtLeast(found.get(`troupe_commit_duration_seconds_count{outcome="committed"}`) ?? 0, 2)
      assert.isAbove(found.get("process_resident_memory_bytes") ?? 0, 1e7)
      assert.isAbove(found.get("process_cpu_seconds_total") ?? 0, 0)
      assert.notInclude([...found.keys()].join(), "secret")

      // More work, other keys and ids: no series more.
      yield* Effect.forEach([1, 2, 3, 4, 5], (n) => ask(world.contract.Counter.at(`other ${n}`).add({ n }))).pipe(
        Effect.provide(world.client)
      )
      yield* World.settled(world)
      const later = yield* Effect.promise(() => read(host.url))
      const waiting = /^troupe_outbox_waiting/
      assert.sameMembers(
        [...later.keys()].filter((series) => !waiting.test(series)),
        [...found.keys()].filter((series) => !waiting.test(series))
      )
    }).pipe(Effect.scoped),
  60_000
)
