import { type FailPoint, FailPoints } from "@troupe/outbox"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Where a process is to die, and at which passage (1 is the first). */
export interface CrashPoint {
  readonly point: FailPoint
  readonly nth: number
  /** SIGSTOP freezes it instead, until somebody sends SIGCONT. Default SIGKILL. */
  readonly signal?: "SIGKILL" | "SIGSTOP"
}

/**
 * Kills this process with SIGKILL, as a crash would, when it passes a fail point for the nth time. Says so on stdout
 * first, so that a test can tell that the fault fired: `crash: after commit`. Node, Deno and Bun.
 */
export const crashAt = ({ nth, point, signal = "SIGKILL" }: CrashPoint): Layer.Layer<never> => {
  let passed = 0
  return Layer.succeed(FailPoints, (here) =>
    here === point && ++passed === nth
      ? Effect.callback<void>((resume) => {
          process.stdout.write(`crash: ${point}\n`, () => {
            process.kill(process.pid, signal)
            resume(Effect.void)
          })
        })
      : Effect.void
  )
}
