import { assert, it } from "@effect/vitest"
import { ask, ClientError, send } from "@troupe/client"
import { DeadLetters } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import { endless, forms, throwers, values } from "./src/throwers.ts"
import * as World from "./src/world.ts"

const patient = { timeout: "100 seconds" } as const

it.live(
  "whatever is thrown, wherever, the message becomes a dead letter with a text, and everything else goes on",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const { Thrower } = throwers(world.name).contract
      const host = yield* world.start({ throwers: true, parking: { attempts: 1 } })
      const key = Thrower.at("hostile")
      const names = Object.keys(values)
      const asks = [
        ...names.flatMap((value) =>
          Object.keys(forms).flatMap((form) =>
            value === endless && form === "a timer" ? [] : [key.fails({ value, form })]
          )
        ),
        ...names.map((value) => key.queries({ value }))
      ]
      yield* Effect.gen(function* () {
        for (const value of names) {
          yield* send(key.failsLater({ value }))
          yield* send(key.failsElsewhere({ value }))
          if (value !== endless) yield* ask(key.leaves({ value }), patient)
        }
        const answers = yield* Effect.forEach(asks, (message) => Effect.flip(ask(message as never, patient)), {
          concurrency: 32
        })
        for (const [i, error] of answers.entries()) {
          const shown = JSON.stringify(asks[i]!.payload)
          assert.instanceOf(error, ClientError, shown)
          assert.include(["TRP0301", "TRP0303"], (error as { reason: { code?: string } }).reason.code, shown)
        }
        assert.strictEqual(yield* ask(Thrower.at("sound").goesOn()), 1)
        assert.strictEqual(yield* ask(key.goesOn(), patient), 1, "the key goes on")
      }).pipe(Effect.provide(world.client))

      const wanted = asks.length + 2 * names.length
      const letters = yield* World.until(
        () => Effect.runPromise(DeadLetters.list(world.sql, { limit: 1_000 })),
        (letters) => letters.length >= wanted
      )
      assert.lengthOf(letters, wanted)
      for (const { reason } of letters) assert.isNotEmpty(reason)
      assert.lengthOf(yield* Effect.promise(() => world.sql`select from troupe.parked`), 0)
      const { status } = yield* Effect.promise(() => fetch(`${host.url}/livez`))
      assert.strictEqual(status, 200)
    }).pipe(Effect.scoped),
  180_000
)
