import { lstat, open, readFile, rename, rm } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { Failure, failure } from "./Failure.ts"

/**
 * Files that a command may replace and delete: those that it wrote itself before, as their text shows. A path that is a
 * symbolic link would lead to a file of somebody else, so it is refused.
 */

/**
 * Resolves to the text of a file, `undefined` where there is none. Rejects with TRP0614 for a symbolic link, and with TRP0613
 * for anything but a file that `isOwn`.
 */
export const text = async (file: string, isOwn: (text: string) => boolean): Promise<string | undefined> => {
  const found = await look(file)
  if (found === undefined) return undefined
  if (!found.isFile()) throw failure("TRP0613", file, "it is no regular file")
  const said = await readFile(file, "utf8")
  if (!isOwn(said)) throw failure("TRP0613", file, "its text is not what this command writes")
  return said
}

/** Rejects with TRP0614 where one of these paths is a symbolic link. */
export const noLinks = async (paths: ReadonlyArray<string>): Promise<void> => {
  for (const path of paths) await look(path)
}

/** Writes a file in one piece: a reader meanwhile has the old text or the new one. */
export const replace = async (file: string, text: string, mode = 0o666): Promise<void> => {
  const fresh = join(dirname(file), `.${basename(file)}.${process.pid}`)
  const handle = await open(fresh, "wx", mode)
  try {
    await handle.writeFile(text).finally(() => handle.close())
    await rename(fresh, file)
  } catch (cause) {
    await rm(fresh, { force: true })
    throw cause
  }
}

const look = async (path: string) => {
  const found = await lstat(path).catch((cause: unknown) => {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined
    throw cause
  })
  if (found?.isSymbolicLink() === true) throw failure("TRP0614", path, "it leads to another place")
  return found
}

/** What a rejection comes to: its own code, or `other`. */
export const failed = (cause: unknown, other: (cause: unknown) => Failure): Failure =>
  cause instanceof Failure ? cause : other(cause)
