import { randomBytes } from "node:crypto"
import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as EmbeddedError from "../EmbeddedError.ts"
import * as Command from "./command.ts"
import * as Folder from "./folder.ts"
import type { Binaries } from "./postgresBinaries.ts"

const initdbFailed = (to: string, output: string) =>
  EmbeddedError.make("initdbFailed", {
    happened: "initdb failed",
    to,
    why: output
      .split("\n")
      .slice(-6)
      .map((line) => line.trim())
      .join(" | "),
    todo: "check the free space and the rights of that folder; TROUPE_CACHE chooses another one"
  })

const own = (path: string, account: Folder.Account | undefined): void => {
  if (account !== undefined) chownSync(path, account.uid, account.gid)
}

// Each start sets a password of its own, which is random and long: stretching it would only slow connections down.
const initdb = Effect.fnUntraced(function* (
  { home }: Binaries,
  fresh: string,
  account: Folder.Account | undefined
): Effect.fn.Return<void, EmbeddedError.EmbeddedError, Scope.Scope> {
  const secret = `${fresh}.password`
  yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(secret, { force: true })))
  yield* Folder.access(fresh, () => {
    own(fresh, account)
    writeFileSync(secret, randomBytes(24).toString("base64url"), { mode: 0o600 })
    own(secret, account)
  })
  const made = yield* Command.run(
    join(home, "bin", "initdb"),
    [
      `--pgdata=${fresh}`,
      "--username=postgres",
      `--pwfile=${secret}`,
      "--auth=scram-sha-256",
      "--set=scram_iterations=1",
      "--encoding=UTF8",
      "--locale=C",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--no-sync",
      "--no-instructions"
    ],
    { cwd: "/", account, env: { PATH: process.env.PATH, LC_ALL: "C" } }
  )
  if (!made.ok) return yield* initdbFailed(fresh, made.output)
})

const cp = Effect.fnUntraced(function* (
  from: string,
  to: string,
  account: Folder.Account | undefined
): Effect.fn.Return<void, EmbeddedError.EmbeddedError> {
  const copied = yield* Command.run("cp", ["-pR", `${from}/.`, to], { cwd: "/", account })
  if (!copied.ok) return yield* initdbFailed(to, copied.output)
})

/**
 * Makes a data folder, unless it is there, from a template that initdb makes once per version and account.
 * `durable` also syncs it to disk.
 */
export const prepare = Effect.fnUntraced(function* (
  binaries: Binaries,
  data: string,
  account: Folder.Account | undefined,
  durable: boolean
): Effect.fn.Return<void, EmbeddedError.EmbeddedError> {
  if (!existsSync(join(data, "PG_VERSION"))) {
    const owner = account?.uid ?? process.getuid?.() ?? 0
    const template = yield* Folder.placed(`${binaries.home}-template-${owner}`, (fresh) =>
      Effect.scoped(initdb(binaries, fresh, account))
    )
    yield* Folder.placed(data, (fresh) =>
      Effect.gen(function* () {
        yield* Folder.access(fresh, () => {
          chmodSync(fresh, 0o700)
          own(fresh, account)
        })
        yield* cp(template, fresh, account)
        if (durable) {
          const synced = yield* Command.run(
            join(binaries.home, "bin", "initdb"),
            ["--sync-only", `--pgdata=${fresh}`],
            {
              cwd: "/",
              account
            }
          )
          if (!synced.ok) return yield* initdbFailed(fresh, synced.output)
        }
      })
    )
  }
})

/**
 * Sets the password of the superuser, while no server runs on the data. It is in no file, list of processes or log: the
 * program reads the statement from its standard input.
 */
export const setPassword = (
  { home }: Binaries,
  data: string,
  account: Folder.Account | undefined,
  settings: ReadonlyArray<string>,
  password: string
): Effect.Effect<Command.Result> =>
  Command.run(
    join(home, "bin", "postgres"),
    ["--single", "-D", data, ...settings, "-c", "exit_on_error=on", "-c", "log_min_error_statement=panic", "postgres"],
    {
      cwd: data,
      account,
      env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" },
      input: `alter role postgres password '${password}'\n`
    }
  )

/** Makes the folder around the data; the server's account must be able to pass it. */
export const around = (dir: string): Effect.Effect<void, EmbeddedError.EmbeddedError> =>
  Folder.access(dir, () => {
    mkdirSync(dir, { recursive: true, mode: 0o755 })
  })
