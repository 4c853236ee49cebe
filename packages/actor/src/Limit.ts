import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** For one run of a handler. */
const limit = "5 seconds"

/** A handler ran for longer than it may. */
export class TooSlow extends Error {
  constructor() {
    super(`it ran for more than ${limit}`)
  }
}

/** Where a run of a handler is begun, and how it can be ended from outside. */
export interface Around {
  readonly start: <A>(run: () => A) => A
  /** Says how a run that waits is failed with a defect; `undefined` once it is over. */
  readonly failing: (fail: ((why: unknown) => void) | undefined) => void
}
const nothing: Around = { start: (run) => run(), failing: () => {} }

/** Ends a handler that takes too long, with the defect `TooSlow`. Most handlers end at once: only one that waits for something is given a fiber and a timer for it. */
export const timed = <A, R>(turn: Effect.Effect<A, never, R>, around: Around = nothing): Effect.Effect<A, never, R> =>
  Effect.contextWith((context: Context.Context<R>) => {
    const fiber = around.start(() => Effect.runForkWith(context)(turn))
    return (
      fiber.pollUnsafe() ??
      Effect.ensuring(
        Effect.raceFirst(
          Effect.timeoutOrElse(Fiber.join(fiber), { duration: limit, orElse: () => Effect.die(new TooSlow()) }),
          Effect.callback<never>((resume) => around.failing((why) => resume(Effect.die(why))))
        ),
        Effect.andThen(
          Effect.sync(() => around.failing(undefined)),
          ended(fiber)
        )
      )
    )
  })

/** Interrupts a handler and waits for its end, but not for ever: from here on it can neither stage nor write anything. */
const ended = (fiber: Fiber.Fiber<unknown>): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const late = setTimeout(() => resume(Effect.void), patience)
    fiber.addObserver(() => {
      clearTimeout(late)
      resume(Effect.void)
    })
    fiber.interruptUnsafe()
  })
/** ms */
const patience = 1_000
