import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as EmbeddedError from "../EmbeddedError.ts"

export interface Account {
  readonly uid: number
  readonly gid: number
}

export const isRoot = (): boolean => process.getuid?.() === 0

/** The folder that the bootstrap uses too: shared by all clones of one user. */
export const cache = (): string =>
  process.env.TROUPE_CACHE ||
  (isRoot() ? "/var/cache/troupe" : join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "troupe"))

/** Runs file system code; what it throws becomes an `EmbeddedError` about `path`. */
export const access = <A>(path: string, body: () => A): Effect.Effect<A, EmbeddedError.EmbeddedError> =>
  Effect.try({
    try: body,
    catch: (cause) =>
      EmbeddedError.make("folder", {
        happened: "could not write",
        to: `to ${path}`,
        why: cause instanceof Error ? cause.message : String(cause),
        todo: "make the folder writable, free some space, or set TROUPE_CACHE to another folder"
      })
  })

// An account passes a folder by the owner's, the group's or everybody's x bit; the nearest folder that exists decides.
const passes = (path: string, account: Account): boolean => {
  if (!existsSync(path)) return true
  const { gid, mode, uid } = statSync(path)
  return (mode & (uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001)) !== 0
}

/** Whether an account can reach a path: all folders above it let it pass. */
export const reachable = (path: string, account: Account): boolean => {
  const above = dirname(path)
  return above === path || (passes(above, account) && reachable(above, account))
}

/** The cache, or where it cannot be reached by the account that will run from it, the machine's own. */
export const cacheFor = (account: Account | undefined): string =>
  account === undefined || (reachable(cache(), account) && passes(cache(), account)) ? cache() : "/var/cache/troupe"

/** A new empty folder that only we can read, and another account can pass, removed with the scope. */
export const temporary = (
  name: string,
  account: Account | undefined
): Effect.Effect<string, EmbeddedError.EmbeddedError, Scope.Scope> =>
  Effect.acquireRelease(
    access("the folder for temporary files", () => {
      const fits = account === undefined || (reachable(tmpdir(), account) && passes(tmpdir(), account))
      const path = mkdtempSync(join(fits ? tmpdir() : "/tmp", `troupe-${name}-`))
      if (account !== undefined) chmodSync(path, 0o711)
      return path
    }),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
  )

/** Fills a folder beside `place` and moves it there in one rename, so that nobody ever sees half of it. */
export const placed = <E>(
  place: string,
  fill: (fresh: string) => Effect.Effect<void, E>
): Effect.Effect<string, E | EmbeddedError.EmbeddedError> =>
  existsSync(place)
    ? Effect.succeed(place)
    : Effect.acquireUseRelease(
        access(place, () => {
          mkdirSync(dirname(place), { recursive: true, mode: 0o755 })
          return mkdtempSync(join(dirname(place), ".fresh-"))
        }),
        (fresh) =>
          Effect.andThen(
            fill(fresh),
            access(place, () => {
              try {
                renameSync(fresh, place)
              } catch (cause) {
                if (!existsSync(place)) throw cause
              }
              return place
            })
          ),
        (fresh) => Effect.sync(() => rmSync(fresh, { recursive: true, force: true }))
      )

export const copy = (from: string, to: string): void =>
  cpSync(from, to, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
