import { execFileSync } from "node:child_process"
import { existsSync, statSync } from "node:fs"
import { type Account, isRoot } from "./folder.ts"

const idOf = (flag: "-u" | "-g", name: string): number | undefined => {
  try {
    return Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim())
  } catch {
    return undefined
  }
}

const nobody = (): Account | undefined => {
  const uid = idOf("-u", "nobody")
  const gid = idOf("-g", "nobody")
  return uid === undefined || gid === undefined ? undefined : { uid, gid }
}

/**
 * The account for a server that refuses to run as root: `undefined` when we are not root, else the owner of the data
 * if it exists, else nobody.
 */
export const unprivileged = (data: string | undefined): Account | undefined => {
  if (!isRoot()) return undefined
  if (data !== undefined && existsSync(data)) {
    const { gid, uid } = statSync(data)
    if (uid !== 0) return { uid, gid }
  }
  return nobody()
}
