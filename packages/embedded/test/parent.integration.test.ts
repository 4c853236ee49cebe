import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { eventually, isAlive } from "./servers.ts"

interface Started {
  readonly pids: ReadonlyArray<number>
  readonly folders: ReadonlyArray<string>
}

const parent = Effect.acquireRelease(
  Effect.sync(() =>
    spawn(process.execPath, ["--conditions=@troupe/source", fileURLToPath(new URL("parent.ts", import.meta.url))], {
      stdio: ["ignore", "pipe", "inherit"]
    })
  ),
  (child) => Effect.sync(() => child.kill("SIGKILL"))
)

describe("a parent that is killed", () => {
  it.live(
    "takes its servers and their temporary folders along",
    () =>
      Effect.gen(function* () {
        const child = yield* parent
        const started = yield* Effect.callback<Started>((resume) => {
          child.stdout.once("data", (line: Buffer) => resume(Effect.sync(() => JSON.parse(line.toString()))))
        })
        assert.deepStrictEqual(started.pids.map(isAlive), [true, true])
        child.kill("SIGKILL")
        yield* eventually(() => !started.pids.some(isAlive) && !started.folders.some((folder) => existsSync(folder)))
      }).pipe(Effect.scoped),
    60_000
  )
})
