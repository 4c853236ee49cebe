import { jetstream } from "@nats-io/jetstream"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as World from "./src/world.ts"

it.live(
  "a subscriber that was ready and had heard nothing yet says of every partition what retention took while it was stopped",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const first = yield* world.start()
      const marks = yield* Effect.promise(
        () => world.sql`select c.name, m.p, m.cursors from troupe.mark m join troupe.consumer c on c.id = m.consumer`
      )
      const begun = marks.filter((row) => row["name"] === `${world.name}.log`)
      assert.strictEqual(new Set(begun.map((row) => row["p"])).size, 16, "the start of each partition is committed")
      assert.deepInclude(JSON.parse(begun[0]!["cursors"])[`EVT_${world.name}`], { seq: 0, id: "" })
      first.kill("SIGTERM")
      assert.deepStrictEqual(yield* first.ended, { code: 0, signal: null })

      // The fault: events come and are deleted meanwhile.
      yield* Effect.promise(() =>
        Promise.all(
          Array.from({ length: 720 }, (_, i) =>
            jetstream(world.nats).publish(`evt.${world.name}.Counter.added.k${i}`, "{}")
          )
        )
      )
      yield* Effect.promise(() => world.jsm.streams.purge(`EVT_${world.name}`))
      const { state } = yield* Effect.promise(() => world.jsm.streams.info(`EVT_${world.name}`))
      assert.deepInclude(state, { messages: 0, last_seq: 720 })

      const second = yield* world.start()
      const dead = yield* World.until(
        () => world.sql`select d.p from troupe.dead d join troupe.consumer c on c.id = d.consumer
          where d.code = 'TRP0407' and c.name = ${`${world.name}.log`}`,
        (rows) => rows.length >= 16
      )
      assert.strictEqual(new Set(dead.map((row) => row["p"])).size, 16)
      yield* World.until(
        async () => second.output(),
        (output) => output.includes("TRP0407")
      )
      const health = yield* Effect.promise(async () => (await fetch(`${second.url}/readyz`)).text())
      assert.include(health, "TRP0407")
    }).pipe(Effect.scoped),
  60_000
)
