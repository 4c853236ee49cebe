import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
export const fixtures = fileURLToPath(new URL("fixtures/", import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}
export interface Running {
  readonly process: ChildProcess
  readonly ended: Effect.Effect<Ended>
  /** Waits until stdout has a whole line. */
  readonly line: Effect.Effect<string>
  readonly out: () => string
  readonly err: () => string
}

type Environment = { readonly [name: string]: string | undefined }

/** Starts `troupe` in the fixtures' folder, or another, without a terminal; killed with the scope. */
export const start = (
  args: ReadonlyArray<string>,
  env: Environment = {},
  cwd = fixtures
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, ["--conditions=@troupe/source", main, ...args], {
        cwd,
        env: { ...process.env, ...env },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let out = ""
      let err = ""
      const firstLine = Promise.withResolvers<string>()
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        out += text
        if (out.includes("\n")) firstLine.resolve(out.slice(0, out.indexOf("\n")))
      })
      child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text))
      const ended = new Promise<Ended>((resolve) => child.once("close", (code) => resolve({ code, out, err })))
      return {
        process: child,
        ended: Effect.promise(() => ended),
        line: Effect.raceFirst(
          Effect.promise(() => firstLine.promise),
          Effect.flatMap(
            Effect.promise(() => ended),
            (how) => Effect.die(new Error(`it ended: ${JSON.stringify(how)}`))
          )
        ),
        out: () => out,
        err: () => err
      }
    }),
    ({ process }) => Effect.sync(() => void process.kill("SIGKILL"))
  )

/** Runs `troupe` to its end. */
export const troupe = (args: ReadonlyArray<string>, env: Environment = {}, cwd = fixtures): Effect.Effect<Ended> =>
  Effect.scoped(Effect.flatMap(start(args, env, cwd), ({ ended }) => ended))

/** Servers that are not there. */
export const nowhere = { NATS_URL: "nats://127.0.0.1:1", DATABASE_URL: "postgres://me:secret@127.0.0.1:1/none" }
