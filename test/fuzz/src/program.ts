import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Said, Vitals } from "./vitals.ts"

/** A process under attack. */
export interface Program {
  readonly name: string
  readonly url: string
  /** All that it said of itself, one a second. */
  readonly vitals: ReadonlyArray<Vitals>
  /** How it ended, once it has. */
  readonly ended: () => string | undefined
}

/** Runs a script of this folder until the scope ends, and waits until it is ready. What it logs goes to a file. */
export const start = (
  name: string,
  script: string,
  settings: object,
  log: string
): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fd = openSync(log, "a")
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, ["--conditions=@troupe/source", script, JSON.stringify(settings)], {
          stdio: ["ignore", fd, fd, "ipc"]
        })
      ),
      stop
    )
    closeSync(fd)
    const vitals: Array<Vitals> = []
    let stopping = false
    yield* Effect.addFinalizer(() => Effect.sync(() => (stopping = true)))
    let ended: string | undefined
    child.once("exit", (code, signal) => (ended = stopping ? undefined : `code ${code}, signal ${signal}`))
    const url = yield* Effect.callback<string>((resume) => {
      child.on("message", (said: Said) => {
        if ("ready" in said) resume(Effect.succeed(said.ready))
        else vitals.push(said.vitals)
      })
      child.once("exit", () => resume(Effect.die(new Error(`${name} ended before it was ready: see ${log}`))))
    }).pipe(
      Effect.timeoutOrElse({
        duration: "60 seconds",
        orElse: () => Effect.die(new Error(`${name} was not ready in 60 s: see ${log}`))
      })
    )
    return { name, url, vitals, ended: () => ended }
  })

/** SIGTERM, and SIGKILL to one that does not end in 15 s. */
const stop = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    const timer = setTimeout(() => child.kill("SIGKILL"), 15_000)
    child.once("exit", () => {
      clearTimeout(timer)
      resume(Effect.void)
    })
    child.kill("SIGTERM")
  })
