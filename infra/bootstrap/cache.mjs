import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { quiet } from "./child.mjs"
import { explain, Failure, ofFileSystem } from "./failure.mjs"
import { step } from "./progress.mjs"

/** Where downloaded tools live: shared by all clones of one user. */
export const folder = () =>
  process.env.TROUPE_CACHE ||
  (process.getuid?.() === 0
    ? "/var/cache/troupe"
    : join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "troupe"))

const writable = (path) => {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

// Accounts such as nobody have a home that does not exist; npm and pnpm keep their own caches below ours then.
export const toolEnv = (env) =>
  writable(homedir())
    ? { ...env, CI: "true" }
    : {
        ...env,
        CI: "true",
        npm_config_cache: join(folder(), "npm"),
        npm_config_store_dir: join(folder(), "pnpm-store"),
        XDG_CACHE_HOME: join(folder(), "xdg"),
        XDG_DATA_HOME: join(folder(), "xdg"),
        XDG_STATE_HOME: join(folder(), "xdg")
      }

const npmFlags = [
  "--ignore-scripts",
  "--no-audit",
  "--no-fund",
  "--no-update-notifier",
  "--loglevel=error",
  "--fetch-retries=1",
  "--fetch-retry-mintimeout=1000"
]

// npm ci takes a tarball for a package of a lockfile only if it has the hash that stands there.
const lock = (name, version, integrity) => ({
  lockfileVersion: 3,
  packages: { "": { dependencies: { [name]: version } }, [`node_modules/${name}`]: { version, integrity } }
})

/**
 * The folder of one npm package in the cache, with this hash and no other; fetched, then moved there in one rename, so that
 * parallel starts never see half of it.
 */
export const npmPackage = async ({ code, title, name, version, integrity, file }) => {
  const hash = Buffer.from(integrity.replace(/^sha512-/, ""), "base64")
    .toString("hex")
    .slice(0, 16)
  const place = join(folder(), `${name.replace("/", "+")}@${version}-${hash}`)
  const inside = (root) => join(root, "node_modules", name)
  if (existsSync(join(inside(place), file))) return inside(place)
  let fresh
  try {
    mkdirSync(folder(), { recursive: true, mode: 0o755 })
    fresh = mkdtempSync(join(folder(), ".fetch-"))
  } catch (error) {
    throw ofFileSystem(error, folder())
  }
  const drop = () => rmSync(fresh, { recursive: true, force: true })
  process.on("exit", drop)
  try {
    writeFileSync(join(fresh, "package.json"), JSON.stringify({ dependencies: { [name]: version } }))
    writeFileSync(join(fresh, "package-lock.json"), JSON.stringify(lock(name, version, integrity)))
    await step(`getting ${title} (once)`, async () => {
      const args = ["ci", "--prefix", fresh, ...npmFlags]
      const { code: exit, output } = await quiet("npm", args, { cwd: fresh, env: toolEnv(process.env) })
      if (exit === 127)
        throw new Failure(
          code,
          "could not get",
          title,
          "there is no npm on PATH",
          "install Node.js 20 or newer together with npm"
        )
      if (exit !== 0 || !existsSync(join(inside(fresh), file)))
        throw new Failure(code, "could not get", `${title} (npm package ${name}@${version})`, ...explain(output, exit))
    })
    try {
      renameSync(fresh, place)
    } catch (error) {
      if (existsSync(join(inside(place), file))) return inside(place)
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw ofFileSystem(error, place)
      rmSync(place, { recursive: true, force: true })
      renameSync(fresh, place)
    }
    return inside(place)
  } finally {
    process.off("exit", drop)
    drop()
  }
}
