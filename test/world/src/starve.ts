import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

const period = 100

/**
 * Gives processes a share of a core each, as a container with a CPU quota has it: they run for a part of every 100 ms and
 * are stopped for the rest. Answers how often they were stopped. Until the scope ends.
 */
export const starve = (
  pids: ReadonlyArray<number>,
  share: number
): Effect.Effect<{ readonly stops: () => number }, never, Scope.Scope> =>
  Effect.gen(function* () {
    let stops = 0
    const signal = (signal: NodeJS.Signals): void => {
      for (const pid of pids) {
        try {
          process.kill(pid, signal)
        } catch {
          // It has ended.
        }
      }
    }
    let timer: ReturnType<typeof setTimeout>
    const stop = (): void => {
      stops++
      signal("SIGSTOP")
      timer = setTimeout(go, period * (1 - share))
    }
    const go = (): void => {
      signal("SIGCONT")
      timer = setTimeout(stop, period * share)
    }
    yield* Effect.acquireRelease(Effect.sync(go), () =>
      Effect.sync(() => {
        clearTimeout(timer)
        signal("SIGCONT")
      })
    )
    return { stops: () => stops }
  })
