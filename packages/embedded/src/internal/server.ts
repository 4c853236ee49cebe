import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as EmbeddedError from "../EmbeddedError.ts"
import type * as Command from "./command.ts"
import * as Folder from "./folder.ts"
import * as Port from "./port.ts"
import * as Process from "./process.ts"

export interface Spec extends Process.Spec {
  readonly name: string
  readonly port: number
  readonly answers: Effect.Effect<boolean>
  /** How long it may take to answer, milliseconds. */
  readonly patience: number
  /** A file whose first line is the id of the process that uses the data. */
  readonly pidFile: string
  /** Output of a start that should be tried again: what it speaks of is over soon. */
  readonly transient: RegExp | undefined
  /** Runs before the first start, while nobody uses the data. */
  readonly before: Effect.Effect<Command.Result> | undefined
}

export interface Server {
  /** The running process; another one after `restart`. */
  readonly pid: number
  /** Sends a signal. With SIGKILL it returns when the process is gone, with others at once. */
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Ends the process if it still runs, and starts it on the same port and data. */
  readonly restart: Effect.Effect<void, EmbeddedError.EmbeddedError>
}

const programOf = (pid: number): string => {
  try {
    if (process.platform === "linux") {
      // `1234 (postgres) S ...`; a zombie (Z) runs no more.
      const [, name = "", state] = /\((.*)\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? []
      return state === "Z" ? "" : name
    }
    return execFileSync("ps", ["-o", "comm=", "-p", String(pid)], { encoding: "utf8" }).trim()
  } catch {
    return ""
  }
}

// The server of a parent that was killed needs a moment until its watchdog has ended it.
const unused = (spec: Spec): Effect.Effect<void, EmbeddedError.EmbeddedError> =>
  Effect.suspend(() => {
    const pid = existsSync(spec.pidFile) ? Number.parseInt(readFileSync(spec.pidFile, "utf8"), 10) : Number.NaN
    return Number.isNaN(pid) || pid === process.pid || !programOf(pid).endsWith(spec.name)
      ? Effect.void
      : Effect.fail(
          EmbeddedError.make("inUse", {
            happened: "the data folder is in use",
            to: spec.cwd,
            why: `${spec.name} with process id ${pid} runs on it`,
            todo: "end that process, or choose another folder"
          })
        )
  }).pipe(Effect.retry(Schedule.max([Schedule.spaced("50 millis"), Schedule.recurs(200)])))

const lastLines = (output: string): string => {
  const lines = output
    .trim()
    .split("\n")
    .slice(-6)
    .map((line) => line.trim())
  return lines.join(" | ") || "it printed nothing"
}

const notStarted = (spec: Spec, how: string, output: string) =>
  /address already in use/i.test(output)
    ? Port.taken(spec.port)
    : EmbeddedError.make("notStarted", {
        happened: `${spec.name} did not start`,
        to: `on 127.0.0.1:${spec.port} with ${spec.cwd}`,
        why: `${how}; its last lines: ${lastLines(output)}`,
        todo: `read ${spec.log}; if the data is damaged and not needed, remove the folder`
      })

const untilAnswers = (spec: Spec, started: Process.Process): Effect.Effect<void, EmbeddedError.EmbeddedError> =>
  spec.answers.pipe(
    Effect.repeat({ until: (ok) => ok, schedule: Schedule.spaced("5 millis") }),
    Effect.asVoid,
    Effect.raceFirst(Effect.flatMap(started.ended, (how) => Effect.fail(notStarted(spec, how, started.output())))),
    Effect.timeoutOrElse({
      duration: spec.patience,
      orElse: () =>
        Effect.andThen(
          started.stop,
          Effect.suspend(() =>
            Effect.fail(notStarted(spec, `it did not answer within ${spec.patience / 1000} s`, started.output()))
          )
        )
    })
  )

/** Runs a server for as long as the scope is open. */
export const make = (spec: Spec): Effect.Effect<Server, EmbeddedError.EmbeddedError, Scope.Scope> =>
  Effect.gen(function* () {
    let current: Process.Process | undefined
    const alone = Semaphore.makeUnsafe(1).withPermit
    const isTransient = (error: EmbeddedError.EmbeddedError) =>
      error.code === "TRP0025" && spec.transient !== undefined && spec.transient.test(error.message)
    const start = Effect.gen(function* () {
      yield* unused(spec)
      if (current === undefined && spec.before !== undefined) {
        const { ok, output } = yield* spec.before
        if (!ok) return yield* notStarted(spec, "it could not be prepared", output)
      }
      const started = yield* Folder.access(spec.log, () => Process.launch(spec))
      current = started
      yield* untilAnswers(spec, started)
    }).pipe(Effect.retry({ while: isTransient, schedule: Schedule.spaced("50 millis"), times: 200 }))
    const stop = Effect.suspend(() => current?.stop ?? Effect.void)

    yield* Effect.addFinalizer(() => alone(stop))
    yield* alone(start)

    return {
      get pid() {
        return current?.pid ?? 0
      },
      kill: (signal) =>
        alone(
          Effect.suspend(() => {
            current?.signal(signal)
            return signal === "SIGKILL" && current !== undefined ? Effect.asVoid(current.ended) : Effect.void
          })
        ),
      restart: alone(Effect.andThen(stop, start))
    }
  })
