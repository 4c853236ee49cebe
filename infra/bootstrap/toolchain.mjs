import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, readdirSync, realpathSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { npmPackage } from "./cache.mjs"
import { Failure } from "./failure.mjs"
import * as pins from "./pins.mjs"

const exe = process.platform === "win32" ? ".exe" : ""
const platform = `${process.platform}-${process.arch}`

const glibc = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"]
const musl =
  process.platform === "linux" &&
  !glibc.some(existsSync) &&
  readdirSync("/lib").some((name) => name.startsWith("ld-musl-"))

const onPath = (name) =>
  process.env.PATH.split(delimiter)
    .map((folder) => join(folder, name + exe))
    .find((file) => existsSync(file))

const recent = () => {
  const [major, minor] = process.versions.node.split(".").map(Number)
  return major > 22 || (major === 22 && minor >= 19)
}

/** Folders to put first on PATH so that `node` is at least 22.19. */
export const node = async () => {
  if (recent()) {
    const found = onPath("node")
    return found !== undefined && realpathSync(found) === realpathSync(process.execPath)
      ? []
      : [dirname(process.execPath)]
  }
  const pin = pins.node[platform]
  if (pin === undefined || musl) {
    throw new Failure(
      "TRP0001",
      "no Node.js to be had",
      `for ${platform}${musl ? " with musl" : ""}`,
      `Node.js ${process.versions.node} is here, 22.19 or newer is needed, and npm has no binary for this platform`,
      "install Node.js 26 yourself and run it again"
    )
  }
  const inside = await npmPackage({ code: "TRP0002", title: `Node.js ${pin.version}`, ...pin, file: `bin/node${exe}` })
  return [join(inside, "bin")]
}

const versionOf = (command) => {
  try {
    return execFileSync(command, ["--version"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      cwd: dirname(command)
    }).trim()
  } catch {
    return undefined
  }
}

/** Folders to put first on PATH so that `pnpm` is of `version`, or what is pinned for this platform. */
export const pnpm = async (version) => {
  const pin = pins.pnpm[`${platform}${musl ? "-musl" : ""}`]
  const found = onPath("pnpm")
  if (found !== undefined && [version, pin?.version].includes(versionOf(found))) return []
  if (pin === undefined)
    throw new Failure(
      "TRP0003",
      "no pnpm to be had",
      `for ${platform}${musl ? " with musl" : ""}`,
      "no version of it is pinned for this platform",
      `install pnpm ${version} yourself and run it again`
    )
  const inside = await npmPackage({ code: "TRP0003", title: `pnpm ${pin.version}`, ...pin, file: `pnpm${exe}` })
  chmodSync(join(inside, `pnpm${exe}`), 0o755)
  return [inside]
}
