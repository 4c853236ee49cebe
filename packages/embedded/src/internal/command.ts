import { execFile } from "node:child_process"
import * as Effect from "effect/Effect"

export interface Result {
  readonly ok: boolean
  readonly stdout: string
  /** Everything that it printed, or why it could not be started. */
  readonly output: string
}

export interface Options {
  readonly cwd?: string
  readonly env?: Record<string, string | undefined>
  readonly account?: { readonly uid: number; readonly gid: number } | undefined
  readonly timeout?: number
  /** What it reads from its standard input. */
  readonly input?: string
}

/** Runs a program to its end. Never fails: a program that is missing or refuses is a result with `ok: false`. */
export const run = (command: string, args: ReadonlyArray<string>, options: Options = {}): Effect.Effect<Result> =>
  Effect.callback((resume) => {
    const { account, input, timeout = 120_000, ...rest } = options
    const child = execFile(
      command,
      args,
      { ...rest, ...account, timeout, encoding: "utf8", maxBuffer: 16 * 1024 * 1024 },
      (error, stdout, stderr) =>
        resume(
          Effect.succeed({ ok: error === null, stdout, output: `${stdout}${stderr}`.trim() || (error?.message ?? "") })
        )
    )
    // A program that ended reads nothing: how it ended is its result.
    child.stdin?.on("error", () => {}).end(input)
    return Effect.sync(() => child.kill("SIGKILL"))
  })
