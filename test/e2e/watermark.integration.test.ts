import { assert, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import * as Effect from "effect/Effect"
import * as World from "./src/world.ts"

it.live(
  "a watermark that names no message, since all were repeats, does not stop its relay for good",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const spread = ask(world.contract.Counter.at("from").spread({ to: ["to"] }), { timeout: "30 seconds" })
      const total = ask(world.contract.Counter.at("to").add({ n: 0 }), { timeout: "30 seconds" })
      const first = yield* world.start()
      yield* Effect.provide(spread, world.client)
      yield* World.settled(world)
      first.kill("SIGTERM")
      yield* first.ended
      const changed = yield* Effect.promise(
        () => world.sql`update troupe.watermark set sequence = 0 where stream = ${`CMD_${world.name}`} and pos > 0`
      )
      assert.isAbove(changed.count, 0, "the fault fired")
      yield* world.start()
      yield* Effect.provide(spread, world.client)
      const reached = yield* World.until(
        () => Effect.runPromise(Effect.provide(total, world.client)),
        (total) => total >= 2
      )
      assert.strictEqual(reached, 2)
    }).pipe(Effect.scoped),
  90_000
)
