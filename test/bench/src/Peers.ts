import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import { type BenchError, failure } from "./BenchError.ts"
import * as Cache from "./Cache.ts"
import { say } from "./Progress.ts"

const source = fileURLToPath(new URL("../peers/", import.meta.url))

/**
 * The peers' services beside their packages, in the cache: the packages are installed there when their lockfile was never
 * seen, the services are copied anew each time.
 */
export const install: Effect.Effect<string, BenchError> = Effect.gen(function* () {
  const lock = createHash("sha256")
    .update(readFileSync(join(source, "package-lock.json")))
    .digest("hex")
  const folder = join(Cache.folder(), `bench-peers@${lock.slice(0, 12)}`)
  const installed = join(folder, "installed")
  const fresh = !existsSync(installed)
  if (fresh) rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const file of readdirSync(source)) cpSync(join(source, file), join(folder, file))
  if (fresh) {
    say(`getting the peers (once, about 350 MB, into ${folder}) ...`)
    const since = performance.now()
    yield* npm(folder)
    writeFileSync(installed, "")
    say(`getting the peers: done in ${((performance.now() - since) / 1_000).toFixed(1)} s`)
  }
  return folder
})

const npm = (folder: string): Effect.Effect<void, BenchError> =>
  Effect.callback((resume) => {
    const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    const child = spawn("npm", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] })
    let output = ""
    const refuse = (why: string): void =>
      resume(
        Effect.fail(
          failure("could not get the peers", folder, why, "check the network and the registry, or use --only troupe")
        )
      )
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text))
    child.once("error", (error) => refuse(error.message))
    child.once("close", (code) =>
      code === 0 ? resume(Effect.void) : refuse(`npm ended with ${code}: ${output.trim().slice(-300)}`)
    )
    return Effect.sync(() => child.kill())
  })
