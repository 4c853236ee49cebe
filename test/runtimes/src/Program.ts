import { spawn } from "node:child_process"
import { delimiter, dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { deno, Policy } from "@troupe/permissions"
import { binary } from "@troupe/test-world/binary"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import service from "./service.ts"

const root = fileURLToPath(new URL("../../..", import.meta.url))

/** The runtimes on which a host runs. */
export type Runtime = "node" | "deno" | "bun"

/** A program that was started. */
export interface Program {
  kill(signal: NodeJS.Signals): void
  readonly stdout: () => string
  readonly stderr: () => string
  /** Its exit code; the name of the signal that ended it. */
  readonly ended: Effect.Effect<number | string>
  /** Until it has written a whole line to stdout, or ended. */
  readonly spoke: Effect.Effect<void>
}

/** Runs a command in the root of the repository; it dies with the scope. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  env: NodeJS.ProcessEnv = process.env
): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(command, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] })),
      (child) =>
        Effect.andThen(
          Effect.sync(() => child.kill("SIGKILL")),
          ended
        )
    )
    let [out, err] = ["", ""]
    let outcome: number | string | undefined
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text))
    child.on("error", (error) => (err += error.message))
    child.on("close", (code, signal) => (outcome = code ?? signal ?? "unknown"))
    const ended: Effect.Effect<number | string> = Effect.callback((resume) => {
      const done = () => resume(Effect.succeed(outcome!))
      if (outcome !== undefined) done()
      else child.once("close", done)
    })
    const spoke = Effect.callback<void>((resume) => {
      const look = () => void (out.includes("\n") && resume(Effect.void))
      child.stdout.on("data", look)
      child.once("close", () => resume(Effect.void))
      if (outcome !== undefined) resume(Effect.void)
      look()
    })
    return { kill: (signal) => void child.kill(signal), stdout: () => out, stderr: () => err, ended, spoke }
  })

const conditions = "--conditions=@troupe/source"

/** What runs a file on a runtime, before the file's name. On Deno with what `flags` allow. */
const commands: {
  readonly [R in Runtime]: (flags: ReadonlyArray<string>) => readonly [string, ReadonlyArray<string>]
} = {
  node: () => [process.execPath, [conditions]],
  bun: () => [binary("bun"), [conditions]],
  deno: (flags) => [binary("deno"), ["run", "--no-prompt", ...flags, conditions]]
}

/** Runs a file on a runtime. */
export const on = (
  runtime: Runtime,
  flags: ReadonlyArray<string>,
  ...args: ReadonlyArray<string>
): Effect.Effect<Program, never, Scope.Scope> => {
  const [command, before] = commands[runtime](flags)
  return run(command, [...before, ...args])
}

/** Where a host finds its servers. */
export interface HostPlace {
  readonly natsUrl: string
  readonly databaseUrl: string
  /** Of the health endpoints. */
  readonly port: number
}

const troupeRun = ["packages/cli/src/main.ts", "run", "test/runtimes/src/service.ts", "--json"]

/**
 * Runs the service by `troupe run`; it has said where it is when it `spoke`. On Deno by the script that
 * `troupe permissions --format deno` prints, `lessened` for tests of what is refused then.
 */
export const host = (
  runtime: Runtime,
  place: HostPlace,
  lessened: (script: string) => string = (script) => script
): Effect.Effect<Program, never, Scope.Scope> => {
  const env = {
    ...process.env,
    NATS_URL: place.natsUrl,
    DATABASE_URL: place.databaseUrl,
    TROUPE_HTTP_PORT: String(place.port),
    NATS_ADDRESS: new URL(place.natsUrl).host,
    DATABASE_ADDRESS: new URL(place.databaseUrl).host
  }
  if (runtime === "deno") {
    const script = lessened(deno(Policy.ofService(service)))
    const path = [dirname(binary("deno")), process.env["PATH"]].join(delimiter)
    return run("sh", ["-c", script, "host", conditions, ...troupeRun], { ...env, PATH: path })
  }
  const [command, before] = commands[runtime]([])
  return run(command, [...before, ...troupeRun], env)
}
