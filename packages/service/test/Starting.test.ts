import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import * as Starting from "../src/Starting.ts"

class Server extends Context.Service<Server, { readonly tries: number }>()("test/Server") {}

/** A start that finds its server after so many tries, and what it says meanwhile. */
const start = (until: number, error: { readonly message: string; readonly passes?: boolean }) => {
  const seen = { tries: 0, closed: 0 }
  const lines: Array<string> = []
  const shown: Array<string> = []
  const layer = Layer.effect(
    Server,
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.sync(() => seen.closed++))
      if (++seen.tries < until) return yield* Effect.fail(error)
      return { tries: seen.tries }
    })
  )
  const logger = Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))
  const run = Starting.patiently(layer, { url: "http://h", waits: (trouble) => void shown.push(trouble) }).pipe(
    Effect.scoped,
    Effect.provide(Logger.layer([logger]))
  )
  return { seen, lines, shown, run }
}

/** In steps: between tries are fibers that need their turns. */
const elapse = (ms: number) =>
  Effect.forEach(Array.from({ length: ms / 50 }), () => TestClock.adjust("50 millis"), { discard: true })

describe("a start", () => {
  it.effect("tries again until its server is there, tells it at once and every 30 s, and lets go of each try", () =>
    Effect.gen(function* () {
      const { lines, run, seen, shown } = start(20, { message: "TRP0501 away", passes: true })
      const starting = yield* Effect.forkChild(run)
      yield* elapse(150)
      assert.deepStrictEqual(lines, ["TRP0501 away; the host waits for it, see http://h/readyz"])
      yield* elapse(20_000)
      assert.isAbove(seen.tries, 5)
      assert.strictEqual(lines.length, 1)
      yield* elapse(80_000)
      const context = yield* Fiber.join(starting)
      assert.strictEqual(Context.get(context, Server).tries, 20)
      assert.isAtLeast(lines.length, 3)
      assert.isAtMost(lines.length, 4)
      assert.deepStrictEqual([...new Set(shown)], ["TRP0501 away"])
      assert.strictEqual(seen.closed, 20)
    })
  )

  it.effect("fails at once with what no waiting mends", () =>
    Effect.gen(function* () {
      const { lines, run, seen } = start(2, { message: "TRP0503 not migrated" })
      const exit = yield* Effect.exit(run)
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(seen.tries, 1)
      assert.deepStrictEqual(lines, [])
    })
  )

  it.live("ends at once when it is interrupted while a connection is made that cannot be interrupted", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const hanging = Layer.effect(
        Server,
        Effect.andThen(Deferred.succeed(begun, undefined), Effect.uninterruptible(Effect.never))
      )
      const fiber = yield* Effect.forkChild(
        Effect.scoped(Starting.patiently(hanging as Layer.Layer<Server, never>, { url: "", waits: () => {} }))
      )
      yield* Deferred.await(begun)
      const since = performance.now()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(performance.now() - since, 5_000)
    })
  )
})
