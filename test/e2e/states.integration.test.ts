import { assert, it } from "@effect/vitest"
import { Loader } from "@troupe/actor/engine"
import { Sql } from "@troupe/postgres"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as World from "./src/world.ts"

const MiB = 1024 ** 2
const keys = Array.from({ length: 200 }, (_, i) => `k${i}`)

it.live(
  "partitions that ask for 200 MB of states at once get at most 32 MiB at a time, and in the end all of them",
  () =>
    Effect.gen(function* () {
      const { databaseUrl, sql } = yield* World.make
      yield* Effect.promise(
        () => sql`insert into troupe.state (consumer, p, key, version, shape, body)
        select 1, 0, k, 1, 0, repeat('x', ${MiB}) from unnest(${keys}::text[]) k
        union all select 1, 0, 'small', 1, 0, '1'`
      )
      const layer = Layer.provide(Loader.layer, Sql.layer({ url: Redacted.make(databaseUrl), max: 4 }))
      const { load } = Context.get(yield* Layer.build(layer), Loader)
      const wanted = [keys.slice(0, 100), keys.slice(100)].map((all) => new Set([...all, "small"]))
      const loaded = new Set<string>()
      let most = 0
      for (let rounds = 0; wanted.some(({ size }) => size > 0); rounds++) {
        assert.isBelow(rounds, 20)
        const found = yield* Effect.forEach(
          wanted,
          (asked, p) => load({ consumer: 1, p, ids: [], keys: [...asked], behind: [] }),
          { concurrency: "unbounded" }
        )
        // Of one consumer, each gets what any of them asked for.
        const bodies = new Map(
          found.flatMap(({ states }) => [...states].map(([key, { body }]) => [key, body] as const))
        )
        most = Math.max(
          most,
          [...bodies.values()].reduce((sum, body) => sum + body.length, 0)
        )
        for (const [i, { postponed }] of found.entries()) {
          if (rounds === 0)
            assert.isTrue(bodies.has("small") && !postponed.has("small"), "what is small waits for nothing")
          for (const key of wanted[i]!) assert.notStrictEqual(bodies.has(key), postponed.has(key), key)
          for (const key of bodies.keys()) {
            loaded.add(key)
            wanted[i]!.delete(key)
          }
        }
      }
      assert.strictEqual(loaded.size, 201)
      assert.isBelow(most, 34 * MiB)
    }).pipe(Effect.scoped)
)
