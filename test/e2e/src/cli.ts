import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"

const main = fileURLToPath(new URL("../../../packages/cli/src/main.ts", import.meta.url))

/** The `troupe` command in a process of its own; killed with the scope. `leave`: nobody holds its stdin open any more. */
export const troupe = (args: ReadonlyArray<string>, env: { readonly [name: string]: string }) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, ["--conditions=@troupe/source", main, ...args], {
        env: { ...process.env, ...env },
        stdio: ["pipe", "pipe", "pipe"]
      })
      child.stdin.on("error", () => {})
      const said = { out: "", err: "" }
      child.stdout.setEncoding("utf8").on("data", (text: string) => (said.out += text))
      child.stderr.setEncoding("utf8").on("data", (text: string) => (said.err += text))
      const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)))
      return {
        said,
        kill: (signal: NodeJS.Signals) => child.kill(signal),
        leave: () => child.stdin.end(),
        ended: Effect.promise(() => ended)
      }
    }),
    ({ kill }) => Effect.sync(() => void kill("SIGKILL"))
  )
