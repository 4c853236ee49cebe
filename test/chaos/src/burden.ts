import { spawn } from "node:child_process"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Two loops beside the run that take all the time that they get. They end with the scope, and with this process. */
export const busy: Effect.Effect<void, never, Scope.Scope> = Effect.forEach(
  [1, 2],
  () =>
    Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, ["--eval", `while (process.ppid === ${process.pid});`], { stdio: "ignore" })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
  { discard: true }
)
