import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Face } from "./Face.ts"

/** What a start fails with. `passes`: a server is away or not ready yet. */
interface Failing {
  readonly message: string
  readonly passes?: boolean | undefined
}

/** Between tries, in ms. */
const [shortest, longest] = [200, 5_000]
/** How often it is told that a start still waits for the same, in ms. */
const reminder = 30_000
/** What an interrupted try has to let go of its connections. */
const grace = "1 second"

/**
 * Builds what needs servers, again and again until they are there: one that refuses connections is no reason to end a
 * process that would only be started again. Each reason is told at once, and every 30 s as long as it lasts. Fails at once
 * with what no waiting mends.
 */
export const patiently = <A, E extends Failing>(
  layer: Layer.Layer<A, E>,
  face: Pick<Face, "waits" | "url">
): Effect.Effect<Context.Context<A>, E, Scope.Scope> =>
  Effect.gen(function* () {
    let told = { why: "", at: Number.NEGATIVE_INFINITY }
    for (let pause = shortest; ; pause = Math.min(longest, pause * 2)) {
      const tried = yield* Effect.exit(attempt(layer))
      if (Exit.isSuccess(tried)) return tried.value
      const failed = Exit.findError(tried)
      if (failed._tag === "Failure" || failed.success.passes !== true) return yield* Effect.failCause(tried.cause)
      const why = failed.success.message
      face.waits(why)
      const now = Number((yield* Clock.monotonicTimeNanos) / 1_000_000n)
      if (why !== told.why || now - told.at >= reminder) {
        told = { why, at: now }
        yield* Effect.logWarning(`${why}; the host waits for it, see ${face.url}/readyz`)
      }
      yield* Effect.sleep(pause)
    }
  })

/**
 * One try. In a fiber of its own: a connection that is being made cannot be interrupted, and whoever ends the host does not
 * wait for it.
 */
const attempt = <A, E>(layer: Layer.Layer<A, E>): Effect.Effect<Context.Context<A>, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const building = yield* Effect.forkDetach(Effect.interruptible(Layer.buildWithScope(layer, scope)))
      const exit = yield* Effect.exit(restore(Fiber.join(building)))
      if (Exit.isSuccess(exit)) {
        yield* Effect.addFinalizer((end) => Scope.close(scope, end))
        return exit.value
      }
      const gone = yield* Effect.forkDetach(Effect.andThen(Fiber.interrupt(building), Scope.close(scope, exit)))
      yield* Effect.timeoutOption(Fiber.await(gone), grace)
      return yield* Effect.failCause(exit.cause)
    })
  )
