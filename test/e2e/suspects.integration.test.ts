import { assert, describe, it } from "@effect/vitest"
import { ask, type ClientError, send } from "@troupe/client"
import { DeadLetters } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import type { Settings } from "./src/host.ts"
import * as World from "./src/world.ts"

/** Starts a host again whenever it has ended, until this scope ends; answers how often one ended. */
const supervised = (world: World.World, settings: Partial<Settings> = {}) =>
  Effect.gen(function* () {
    const seen = { ends: 0, output: "" }
    yield* Effect.gen(function* () {
      const host = yield* world.start(settings)
      yield* host.ended
      seen.ends++
      seen.output += host.output()
    }).pipe(Effect.scoped, Effect.forever, Effect.forkScoped)
    return seen
  })

const deadLetter = (world: World.World) =>
  Effect.map(
    World.until(
      () => Effect.runPromise(DeadLetters.list(world.sql)),
      (letters) => letters.length > 0
    ),
    ([letter]) => letter!
  )

/** Nothing is noted any more as running. What was handled right before its host died is not met again, and its row stays a week. */
const nothingOpen = (world: World.World) =>
  World.until(
    () => world.sql`select id from troupe.suspect where open or strikes > 0`,
    (rows) => rows.length === 0
  )

describe("an exception that a handler's timer or socket throws", () => {
  it.live(
    "fails the turn that still waits, as any exception does, and ends no process",
    () =>
      Effect.gen(function* () {
        const world = yield* World.make
        const host = yield* world.start({ parking: { attempts: 1 } })
        yield* Effect.gen(function* () {
          const { reason } = (yield* Effect.flip(
            ask(world.contract.Counter.at("k").harm({ how: "timer while it waits" }), { timeout: "50 seconds" })
          )) as ClientError
          assert.deepInclude(reason, { _tag: "Rejected", code: "TRP0301" })
          assert.strictEqual(yield* ask(world.contract.Counter.at("k").add({ n: 1 })), 1)
        }).pipe(Effect.provide(world.client))
        assert.match((yield* deadLetter(world)).reason, /thrown by a timer/)
        host.kill("SIGTERM")
        assert.deepStrictEqual(yield* host.ended, { code: 0, signal: null })
      }).pipe(Effect.scoped),
    90_000
  )

  for (const how of ["timer after its turn", "error event"] as const) {
    it.live(
      `is told with the message's name when the turn is over: ${how}`,
      () =>
        Effect.gen(function* () {
          const world = yield* World.make
          const host = yield* world.start()
          yield* Effect.gen(function* () {
            yield* ask(world.contract.Counter.at("k").harm({ how }))
            yield* World.until(
              async () => host.output(),
              (output) => /TRP0317.*Counter\.harm k, id /.test(output)
            )
            assert.strictEqual(yield* ask(world.contract.Counter.at("k").add({ n: 1 })), 1)
          }).pipe(Effect.provide(world.client))
          host.kill("SIGTERM")
          assert.deepStrictEqual(yield* host.ended, { code: 0, signal: null })
        }).pipe(Effect.scoped),
      90_000
    )
  }
})

describe("a message whose handler ends the process", () => {
  /** How a handler ends it, and how many hosts that costs at most: what leaves a trace of its own is found sooner. */
  const ways = { kill: 4, exit: 2, memory: 3 } as const
  for (const [how, most] of Object.entries(ways) as ReadonlyArray<[keyof typeof ways, number]>) {
    it.live(
      `is given up after some tries, alone, and every other message is handled once, in order: ${how}`,
      () =>
        Effect.gen(function* () {
          const world = yield* World.make
          const harm = world.contract.Counter.at("k").harm({ how })
          const keys = Array.from({ length: 20 }, (_, i) => `other ${i}`)
          const add = (n: number) =>
            Effect.forEach(keys, (key) => send(world.contract.Counter.at(key).add({ n })), { concurrency: 5 })
          const seen = yield* Effect.gen(function* () {
            // All of it waits when the first host starts.
            const first = yield* Effect.scoped(world.start())
            assert.notStrictEqual(first.url, "")
            yield* add(1)
            yield* send(harm)
            yield* add(2)
            yield* send(world.contract.Counter.at("k").add({ n: 7 }))
            const seen = yield* supervised(world)
            const letter = yield* deadLetter(world)
            assert.strictEqual(letter.code, "TRP0302")
            assert.strictEqual(letter.subject.split(".").at(-2), "harm")
            assert.strictEqual(yield* ask(world.contract.Counter.at("k").add({ n: 1 }), { timeout: "50 seconds" }), 8)
            for (const key of keys)
              assert.strictEqual(yield* ask(world.contract.Counter.at(key).add({ n: 3 }), { timeout: "50 seconds" }), 6)
            yield* World.settled(world)
            return seen
          }).pipe(Effect.provide(world.client))
          assert.isAtLeast(seen.ends, 1)
          assert.isAtMost(seen.ends, most)
          if (how === "kill") assert.match(seen.output, /TRP0329 .*Counter\.harm k, id /)
          if (how === "exit") assert.match(seen.output, /TRP0325 .*Counter\.harm k, id \S+, ended it with exit code 3/)
          yield* nothingOpen(world)
        }).pipe(Effect.scoped),
      180_000
    )
  }
})
