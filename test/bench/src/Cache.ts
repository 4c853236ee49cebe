import { homedir } from "node:os"
import { join } from "node:path"

/** The folder that the bootstrap uses too. */
export const folder = (): string =>
  process.env["TROUPE_CACHE"] ||
  (process.getuid?.() === 0
    ? "/var/cache/troupe"
    : join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "troupe"))
