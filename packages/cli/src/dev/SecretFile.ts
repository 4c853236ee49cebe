import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type Failure, failure, reason } from "../Failure.ts"

/**
 * Writes a secret into a file that only this user can read, outside of the working folder, and answers its path. A command
 * that is typed can read it from there, so that no list of processes has it. The file goes with the scope.
 */
export const make = (name: string, secret: Redacted.Redacted): Effect.Effect<string, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const attempt = <A>(run: () => Promise<A>) =>
      Effect.tryPromise({ try: run, catch: (cause) => failure("TRP0026", tmpdir(), reason(cause)) })
    // The folder is made with mode 0700.
    const folder = yield* Effect.acquireRelease(
      attempt(() => mkdtemp(join(tmpdir(), "troupe-dev-"))),
      (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
    )
    const file = join(folder, name)
    yield* attempt(() => writeFile(file, Redacted.value(secret), { flag: "wx", mode: 0o600 }))
    return file
  })
