import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type BenchError, failure } from "./BenchError.ts"
import * as Cache from "./Cache.ts"

/** A process of a bench: the driver, a host, a peer's service or server. It ends with its scope. */
export interface Child {
  readonly pid: number
  /** Waits for a line of its output; fails when it ends without, or says nothing of the kind for a minute and a half. */
  said(line: RegExp): Effect.Effect<RegExpExecArray, BenchError>
  kill(signal: NodeJS.Signals): void
  readonly ended: Effect.Effect<void>
  readonly isRunning: () => boolean
}

/** Lines kept for `said`, and for the message when it fails. */
const kept = 200

export const start = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {}
): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const process = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] })
      const guard = watch(process.pid)
      const lines: Array<string> = []
      const watchers = new Set<() => void>()
      const changed = (): void => {
        for (const watcher of watchers) watcher()
      }
      for (const stream of [process.stdout, process.stderr]) {
        let rest = ""
        stream.setEncoding("utf8").on("data", (text: string) => {
          const complete = (rest + text).split("\n")
          rest = complete.pop() ?? ""
          lines.push(...complete)
          lines.splice(0, lines.length - kept)
          changed()
        })
      }
      let running = true
      const end = (): void => {
        running = false
        guard.kill("SIGKILL")
        changed()
      }
      process.once("close", end)
      process.once("error", (error) => {
        lines.push(error.message)
        end()
      })
      const when = <A, E>(look: () => Effect.Effect<A, E> | undefined): Effect.Effect<A, E> =>
        Effect.callback((resume) => {
          const watcher = (): void => {
            const found = look()
            if (found === undefined) return
            watchers.delete(watcher)
            resume(found)
          }
          watchers.add(watcher)
          watcher()
          return Effect.sync(() => watchers.delete(watcher))
        })
      const dead = (why: string): BenchError =>
        failure(why, [command, ...args].join(" "), lines.slice(-8).join(" "), "read its last lines")
      const child: Child = {
        pid: process.pid ?? 0,
        said: (pattern) =>
          when<RegExpExecArray, BenchError>(() => {
            for (const line of lines) {
              const found = pattern.exec(line)
              if (found !== null) return Effect.succeed(found)
            }
            return running ? undefined : Effect.fail(dead("a process ended"))
          }).pipe(
            Effect.timeoutOrElse({
              duration: "90 seconds",
              orElse: () => Effect.fail(dead(`a process never said ${pattern.source}`))
            })
          ),
        kill: (signal) => void process.kill(signal),
        ended: when(() => (running ? undefined : Effect.void)),
        isRunning: () => running
      }
      return child
    }),
    (child) =>
      Effect.andThen(
        Effect.sync(() => {
          child.kill("SIGCONT")
          child.kill("SIGKILL")
        }),
        child.ended
      )
  )

/** A shell that waits for the end of its input, which is our end, however it comes: then the process ends too. */
const watch = (pid: number | undefined): ChildProcess => {
  const guard = spawn("/bin/sh", ["-c", "while read -r _; do :; done; kill -9 $0", String(pid)], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"]
  })
  guard.on("error", () => {})
  return guard
}

/**
 * A TypeScript file of ours, with its settings as JSON. With compiled code from the cache, as `troupe run` has it: without,
 * a process carries the compiler with it.
 */
export const node = (
  file: URL,
  settings: object,
  flags: ReadonlyArray<string> = []
): Effect.Effect<Child, never, Scope.Scope> =>
  start(process.execPath, [...flags, "--conditions=@troupe/source", fileURLToPath(file), JSON.stringify(settings)], {
    env: { NODE_COMPILE_CACHE: join(Cache.folder(), "compiled"), ...process.env }
  })
