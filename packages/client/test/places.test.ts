import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { Places } from "../src/internal/places.ts"

const Steps = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: -8, maximum: 4 })))

describe("the places of messages under way", () => {
  it.live("are waited for as long as it takes, where no timer counts so far", () =>
    Effect.gen(function* () {
      const places = new Places(1)
      const first = places.enter()
      const waits = yield* Effect.forkChild(places.enter().within(2 ** 31), { startImmediately: true })
      // A timer that cannot count so far ends after 1 ms.
      yield* Effect.sleep("20 millis")
      first.leave()
      assert.isTrue(yield* Fiber.join(waits))
    })
  )

  it.prop(
    "are never more than the limit, given in the order of asking, and all given back",
    [Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 })), Steps],
    ([limit, steps]) => {
      const places = new Places(limit)
      let inside: Array<ReturnType<Places["enter"]>> = []
      const check = () =>
        assert.deepStrictEqual(
          inside.map((place) => Effect.runSync(place.within(0))),
          inside.map((_, i) => i < limit)
        )
      for (const step of steps) {
        if (step > 0) inside.push(places.enter())
        // Somebody leaves: one who has a place, or one who waits no longer.
        else for (const leaver of inside.splice(-step, 1)) leaver.leave()
        check()
      }
      for (const place of inside) place.leave()
      inside = Array.from({ length: limit + 1 }, () => places.enter())
      check()
    }
  )
})
