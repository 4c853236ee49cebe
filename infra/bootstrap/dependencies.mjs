import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { toolEnv } from "./cache.mjs"
import { quiet } from "./child.mjs"
import { explain, Failure } from "./failure.mjs"
import { withLock } from "./lock.mjs"
import { step } from "./progress.mjs"

const skipped = new Set(["node_modules", "dist", "src", "peers"])

// The workspace's folders lie at most three levels deep (services/X/contract).
const manifests = (folder, depth = 0) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.name === "package.json"
      ? [join(folder, entry.name)]
      : entry.isDirectory() && depth < 3 && !entry.name.startsWith(".") && !skipped.has(entry.name)
        ? manifests(join(folder, entry.name), depth + 1)
        : []
  )

const workspace = (root) =>
  [
    join(root, "package.json"),
    ...["packages", "services", "test"]
      .filter((name) => existsSync(join(root, name)))
      .flatMap((name) => manifests(join(root, name)))
  ].sort((a, b) => (a < b ? -1 : 1))

const fingerprint = (root) => {
  const hash = createHash("sha256").update(`${process.platform}-${process.arch}\n`)
  for (const file of [join(root, "pnpm-lock.yaml"), join(root, "pnpm-workspace.yaml"), ...workspace(root)]) {
    hash.update(`${relative(root, file)}\n`).update(existsSync(file) ? readFileSync(file) : "")
  }
  return hash.digest("hex")
}

const linked = (manifest) => {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(readFileSync(manifest, "utf8"))
  return (
    [dependencies, devDependencies, optionalDependencies].every((group) => group === undefined) ||
    existsSync(join(manifest, "..", "node_modules"))
  )
}

const stamp = (root) => join(root, "node_modules", ".troupe-installed")

const upToDate = (root, wanted) =>
  existsSync(stamp(root)) && readFileSync(stamp(root), "utf8") === wanted && workspace(root).every(linked)

/** Runs `pnpm install --frozen-lockfile` unless the last one saw the same lockfile and manifests. */
export const install = async (root, env) => {
  if (upToDate(root, fingerprint(root))) return
  await withLock(join(root, ".troupe", "install.lock"), "installing the packages of this clone", async () => {
    const wanted = fingerprint(root)
    if (upToDate(root, wanted)) return
    await step("installing packages", async () => {
      const { code, output } = await quiet(
        "pnpm",
        ["install", "--frozen-lockfile", "--ignore-scripts", "--reporter=append-only"],
        { cwd: root, env: toolEnv(env) }
      )
      if (code !== 0)
        throw new Failure("TRP0004", "could not install", `the packages of ${root}`, ...explain(output, code))
    })
    writeFileSync(stamp(root), wanted)
  })
}
