import { assert, describe, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { addAll, exactly } from "./src/adding.ts"
import * as World from "./src/world.ts"

const keys = Array.from({ length: 40 }, (_, i) => `key ${i} é`)
const handled = (world: World.World) => () =>
  world.sql`select count(*)::int as n from troupe.inbox`.then(([row]) => row!["n"] as number)
const upTo = (rounds: number) => Array.from({ length: rounds }, (_, i) => i + 1)

describe.each(["deno", "bun", "workerd"] as const)("an edge on %s", (runtime) => {
  it.live(
    "killed again and again in the middle of batches, it loses, repeats and reorders nothing",
    () =>
      Effect.gen(function* () {
        const world = yield* World.atEdge(runtime)
        const host = yield* world.start()
        const rounds = 25
        const adding = yield* Effect.forkScoped(Effect.provide(addAll(world, keys, rounds), world.client))
        for (let kill = 1; kill <= 3; kill++) {
          yield* World.until(handled(world), (n) => n >= kill * 200)
          assert.isTrue(yield* world.edge.kill, "the fault fired")
          // Its host knows: nobody is told that it is ready.
          yield* World.until(
            () => fetch(`${host.url}/readyz`).then((response) => response.text()),
            (text) => text.includes("TRP0309")
          )
          yield* world.edge.start
        }
        for (const each of yield* Fiber.join(adding)) assert.deepStrictEqual(each, upTo(rounds))
        yield* exactly(world, keys, rounds)
        yield* World.until(
          () => fetch(`${host.url}/readyz`),
          ({ status }) => status === 200
        )
      }).pipe(Effect.scoped),
    180_000
  )
})
