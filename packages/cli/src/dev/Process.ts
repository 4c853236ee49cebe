import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { ChildProcessHandle } from "effect/process/ChildProcessSpawner"
import { reason } from "../Failure.ts"

/** How a process went, once it is gone: its exit code, or the signal that ended it. */
export const exited = (handle: ChildProcessHandle): Effect.Effect<number | string> =>
  Effect.map(Effect.result(handle.exitCode), (result) => {
    if (Result.isSuccess(result)) return result.success
    const cause = result.failure.cause
    return /'(SIG\w+)'/.exec(reason(cause))?.[1] ?? reason(cause)
  })

/** The same for a person: `exit code 1`, `SIGKILL`. */
export const ended = (handle: ChildProcessHandle): Effect.Effect<string> =>
  Effect.map(exited(handle), (how) => (typeof how === "number" ? `exit code ${how}` : how))

/**
 * Kills the process that is told it, and what that started, when this program exits without closing the scope (a second
 * Ctrl-C). To be had before the process, so that it watches for as long as that takes to end.
 */
export const killOnExit: Effect.Effect<(pid: number) => void, never, Scope.Scope> = Effect.gen(function* () {
  let pid: number | undefined
  const kill = (): void => {
    try {
      if (pid !== undefined) process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL")
    } catch {
      // It is gone already.
    }
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => process.once("exit", kill)),
    () => Effect.sync(() => process.off("exit", kill))
  )
  return (started) => void (pid = started)
})
