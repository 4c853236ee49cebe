import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Whether a person sits there who can press keys. */
export const available = (): boolean => process.stdin.isTTY === true && process.stdout.isTTY === true

/**
 * Reads single keys of the terminal until the scope ends: `k` runs `kill`; `q`, Ctrl-C and Ctrl-D succeed the effect
 * that is answered. (A terminal that gives single keys sends no signal for Ctrl-C.)
 */
export const read = (kill: Effect.Effect<void>): Effect.Effect<Effect.Effect<void>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.contextWith((context: Context.Context<never>) => {
        const run = Effect.runForkWith(context)
        const stop = Promise.withResolvers<void>()
        const onData = (data: Buffer): void => {
          for (const key of data.toString("latin1")) {
            if (key === "k" || key === "K") run(kill)
            if (key === "q" || key === "Q" || key === "\u0003" || key === "\u0004") stop.resolve()
          }
        }
        process.stdin.setRawMode(true).on("data", onData).resume()
        return Effect.succeed({ onData, stop: stop.promise })
      }),
      ({ onData }) => Effect.sync(() => process.stdin.off("data", onData).pause().setRawMode(false))
    ),
    ({ stop }) => Effect.promise(() => stop)
  )
