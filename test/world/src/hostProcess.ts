import { type ChildProcess, spawn } from "node:child_process"
import { writeSync } from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** How a process ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: string | null
}

export interface HostProcess {
  readonly pid: number
  /** Where its health endpoints are; empty when it ended before it was ready. */
  readonly url: string
  kill(signal: NodeJS.Signals): void
  /** Sends it a message; what is not sent because it has ended is lost. */
  tell(message: object): void
  /** Everything that it wrote to stdout. */
  readonly output: () => string
  readonly ended: Effect.Effect<Ended>
}

/**
 * Runs a script that calls `host.run`, in a process of its own with `settings` as its argument, and waits until it is ready
 * or has ended. What it says goes to the file `log`, a descriptor; else its stderr to ours. It dies with the scope.
 */
export const startHost = (
  script: string,
  settings: object,
  log?: number
): Effect.Effect<HostProcess, never, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, ["--conditions=@troupe/source", script, JSON.stringify(settings)], {
          stdio: ["ignore", "pipe", log ?? "inherit", "ipc"]
        })
      ),
      (child) =>
        Effect.andThen(
          Effect.sync(() => child.kill("SIGKILL")),
          ended(child)
        )
    )
    let output = ""
    const stdout = child.stdout!
    stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text
      if (log !== undefined) writeSync(log, text)
    })
    const ready = Effect.callback<void>((resume) => {
      const look = () => (/^ready /m.test(output) ? resume(Effect.void) : undefined)
      stdout.on("data", look)
      look()
    })
    yield* Effect.raceFirst(ready, ended(child))
    return {
      pid: child.pid!,
      url: /^ready (\S+)$/m.exec(output)?.[1] ?? "",
      kill: (signal) => void child.kill(signal),
      tell: (message) => void (child.connected && child.send(message, () => {})),
      output: () => output,
      ended: ended(child)
    }
  })

const ended = (child: ChildProcess) =>
  Effect.callback<Ended>((resume) => {
    const done = () => resume(Effect.succeed({ code: child.exitCode, signal: child.signalCode }))
    if (child.exitCode !== null || child.signalCode !== null) done()
    else child.once("close", done)
  })
