import { assert, it } from "@effect/vitest"
import { ask, type ClientError, send } from "@troupe/client"
import { DeadLetters } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as World from "./src/world.ts"

it.live(
  "a command whose time is over is not run, by a host whose clock is an hour ahead; one in time is",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const first = yield* world.start()
      first.kill("SIGTERM")
      yield* first.ended
      const counter = world.contract.Counter.at("k")
      yield* Effect.gen(function* () {
        const early = yield* Effect.flip(ask(counter.add({ n: 100 }), { id: "late", timeout: "50 millis" }))
        assert.strictEqual((early as ClientError).reason._tag, "TimedOut")
        yield* send(counter.add({ n: 1 }))
        const inTime = yield* Effect.forkScoped(ask(counter.add({ n: 10 }), { timeout: "50 seconds" }))

        yield* world.start({ aheadMs: 3_600_000 })
        assert.strictEqual(yield* Fiber.join(inTime), 11)
        yield* World.settled(world)
        const rows = yield* Effect.promise(() => world.sql`select outcome, body from troupe.inbox order by outcome`)
        // Those of `log` have no outcome.
        const outcomes = rows.flatMap(({ outcome }) => outcome ?? [])
        assert.deepStrictEqual(outcomes, ["rejected", "reply", "reply"])
        assert.deepStrictEqual(yield* DeadLetters.list(world.sql), [])
        // The stream remembers it too: a database that is set back forgets the answer.
        const stream = `CMD_${world.name}`
        const stored = yield* World.until(
          async () => {
            const found: Array<string | undefined> = []
            const { last_seq } = (await world.jsm.streams.info(stream)).state
            for (let seq = 1; seq <= last_seq; seq++) {
              const message = await world.jsm.streams.getMessage(stream, { seq })
              if (message?.header.get("ce-id") === "late") found.push(message.header.get("Troupe-Too-Late"))
            }
            return found
          },
          (found) => found.length === 1
        )
        assert.deepStrictEqual(stored, ["1"], "in place of the command there is a copy that says so")
        // It is settled: who asks again hears so at once, and may send it under a new id.
        const again = yield* Effect.flip(ask(counter.add({ n: 100 }), { id: "late", timeout: "50 seconds" }))
        assert.deepInclude((again as ClientError).reason, { _tag: "Rejected", code: "TRP0212" })
        assert.isFalse((again as ClientError).retryable)
        assert.strictEqual(yield* ask(counter.add({ n: 100 })), 111)
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  60_000
)
