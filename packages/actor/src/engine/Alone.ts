import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Semaphore from "effect/Semaphore"

// One for the process: whatever a handler does to it, it does to all of its hosts.
const free = Latch.makeUnsafe(true)
const idle = Latch.makeUnsafe(true)
const turn = Semaphore.makeUnsafe(1)
let closed = false
let running = 0

/** True inside `exclusively`. */
export const Exclusive = Context.Reference<boolean>("@troupe/actor/Alone/Exclusive", { defaultValue: () => false })

/** Runs beside others, but never beside what runs exclusively. */
export const shared = <A, E, R>(run: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Exclusive, (exclusive) => (exclusive ? run : enter(run)))

const enter = <A, E, R>(run: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    if (closed) return Effect.andThen(free.await, enter(run))
    running++
    idle.closeUnsafe()
    return Effect.ensuring(run, left)
  })
const left = Effect.sync(() => {
  if (--running === 0) idle.openUnsafe()
})

/** Runs while nothing else does: what began before is waited for, what comes meanwhile waits. */
export const exclusively = <A, E, R>(run: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  turn.withPermits(1)(
    Effect.acquireUseRelease(
      Effect.sync(() => {
        closed = true
        free.closeUnsafe()
      }),
      () => Effect.andThen(idle.await, Effect.provideService(run, Exclusive, true)),
      () =>
        Effect.sync(() => {
          closed = false
          free.openUnsafe()
        })
    )
  )
