import { spawn } from "node:child_process"
import { closeSync, constants, fchmodSync, openSync, readFileSync, statSync } from "node:fs"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Account } from "./folder.ts"

export interface Spec {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly cwd: string
  readonly account: Account | undefined
  /** Its output is appended here. */
  readonly log: string
  /** The signal that asks it to end. */
  readonly stop: NodeJS.Signals
  /** Removed when our process dies and cannot do it itself. */
  readonly temporary: string | undefined
}

export interface Process {
  readonly pid: number
  /** How it ended, once it has. */
  readonly ended: Effect.Effect<string>
  readonly isRunning: () => boolean
  readonly signal: (signal: NodeJS.Signals) => void
  /** Asks it to end, kills it after `patience`, and returns when it is gone. */
  readonly stop: Effect.Effect<void>
  /** What it wrote to the log since this start. */
  readonly output: () => string
}

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants

const patience = "10 seconds"

// A shell that waits for the end of its input: that is the end of our process, however it came (SIGKILL included).
const watchdog = `
read -r pid; read -r signal; read -r folder
while read -r _; do :; done
kill -"$signal" "$pid" 2>/dev/null
n=0
while kill -0 "$pid" 2>/dev/null && [ "$n" -lt 50 ]; do n=$((n + 1)); sleep 0.1; done
kill -KILL "$pid" 2>/dev/null
if [ -n "$folder" ]; then rm -rf -- "$folder"; fi
`

const watch = (pid: number, spec: Spec) => {
  const guard = spawn("/bin/sh", ["-c", watchdog, "troupe-watchdog"], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"]
  })
  guard.stdin.on("error", () => {})
  guard.on("error", () => {})
  guard.stdin.write(`${pid}\n${spec.stop.slice(3)}\n${spec.temporary ?? ""}\n`)
  guard.unref()
  if ("unref" in guard.stdin && typeof guard.stdin.unref === "function") guard.stdin.unref()
  return () => guard.kill("SIGKILL")
}

/**
 * Starts a server in a session of its own (Ctrl-C in the terminal is for us, not for it) with a watchdog beside it.
 */
export const launch = (spec: Spec): Process => {
  const from = statSync(spec.log, { throwIfNoEntry: false })?.size ?? 0
  // For us only: statements that fail are in it, with what they say. A link would lead to a file of somebody else.
  const log = openSync(spec.log, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600)
  fchmodSync(log, 0o600)
  const child = spawn(spec.command, spec.args, {
    cwd: spec.cwd,
    env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC", HOME: spec.cwd },
    stdio: ["ignore", log, log],
    detached: true,
    ...spec.account
  })
  closeSync(log)
  const ended = Deferred.makeUnsafe<string>()
  let running = child.pid !== undefined
  const unwatch = child.pid === undefined ? () => false : watch(child.pid, spec)
  const end = (how: string) => {
    running = false
    unwatch()
    Deferred.doneUnsafe(ended, Effect.succeed(how))
  }
  child.once("error", (cause) => end(cause.message))
  child.once("exit", (code, signal) =>
    end(signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`)
  )
  child.unref()
  const signal = (name: NodeJS.Signals) => {
    if (running) child.kill(name)
  }
  return {
    pid: child.pid ?? 0,
    ended: Deferred.await(ended),
    isRunning: () => running,
    signal,
    stop: Effect.suspend(() => {
      // Without this the event loop could run dry, and our process end, before the server is gone.
      child.ref()
      signal("SIGCONT")
      signal(spec.stop)
      return Effect.timeoutOrElse(Deferred.await(ended), {
        duration: patience,
        orElse: () =>
          Effect.suspend(() => {
            signal("SIGKILL")
            return Deferred.await(ended)
          })
      })
    }).pipe(Effect.asVoid, Effect.uninterruptible),
    output: () => readFileSync(spec.log).subarray(from).toString("utf8")
  }
}
