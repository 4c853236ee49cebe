import { createHash } from "node:crypto"
import { mkdir } from "node:fs/promises"
import { homedir } from "node:os"
import { basename, dirname, join } from "node:path"

/**
 * Where keys and credentials lie when nothing else is said: with the settings of this user, outside of the working folder, so
 * that they are neither committed nor copied with it. Each working folder has a place of its own.
 */
const place = (): string => {
  const cwd = process.cwd()
  const hash = createHash("sha256").update(cwd).digest("hex").slice(0, 8)
  return join(process.env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "troupe", `${basename(cwd)}-${hash}`)
}

/** The folder of keys. */
export const keys = (): string => join(place(), "keys")

/** The creds file of a user. */
export const creds = (name: string, operator: boolean): string =>
  join(place(), `${name}${operator ? ".operator" : ""}.creds`)

/** Makes the folder of a file in that place, which only this user may read. */
export const folderOf = async (file: string): Promise<void> => {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
}
