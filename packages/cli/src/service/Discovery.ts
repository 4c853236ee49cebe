import { existsSync } from "node:fs"
import { readdir, readFile, stat } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import { type Failure, failure } from "../Failure.ts"

/**
 * The files of the services: those named, else `services/*\/src/main.ts` below `cwd` that have a default export (another
 * program may lie there too). Absolute, sorted, each once. Fails with TRP0103 when a named one is not there.
 */
export const files = (
  named: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly except?: string | undefined } = {}
): Effect.Effect<ReadonlyArray<string>, Failure> =>
  Effect.gen(function* () {
    const cwd = options.cwd ?? process.cwd()
    if (named.length === 0) return yield* Effect.promise(() => below(cwd, options.except))
    const all = [...new Set(named.map((file) => resolve(cwd, file)))]
    const missing = all.find((file) => !existsSync(file))
    if (missing !== undefined) return yield* failure("TRP0103", missing, "there is no such file")
    return all
  })

const below = async (cwd: string, except: string | undefined): Promise<ReadonlyArray<string>> => {
  const folder = join(cwd, "services")
  const names = await readdir(folder).catch(() => [])
  const candidates = names.sort().map((name) => join(folder, name, "src", "main.ts"))
  const skipped = except === undefined ? undefined : resolve(cwd, except)
  const kept = await Promise.all(candidates.map(async (file) => file !== skipped && (await exportsDefault(file))))
  return candidates.filter((_, i) => kept[i])
}

/** Read, not imported: a program without a default export runs when it is imported. */
const exportsDefault = async (file: string): Promise<boolean> => {
  const text = await readFile(file, "utf8").catch(() => "")
  return /^\s*export\s+default\b|^\s*export\s*\{[^}]*\bdefault\b[^}]*\}/m.test(text)
}

/** The folder `migrations` beside the nearest package.json above a service's file, when there is one. */
export const migrations = (file: string): Effect.Effect<string | undefined> =>
  Effect.promise(async () => {
    let at = dirname(resolve(file))
    while (!existsSync(join(at, "package.json"))) {
      if (dirname(at) === at) return undefined
      at = dirname(at)
    }
    const folder = join(at, "migrations")
    return (await stat(folder).catch(() => undefined))?.isDirectory() ? folder : undefined
  })
