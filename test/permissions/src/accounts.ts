import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { credsAuthenticator, type NatsConnection } from "@nats-io/nats-core"
import { connect } from "@nats-io/transport-node"
import { NatsServer } from "@troupe/embedded"
import { type AccountKeys, type Accounts, Credentials, jwt, type Keys, operatorJwt } from "@troupe/permissions"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { committed } from "./guarded.ts"

/** A nats-server with accounts, and the keys that sign their users. */
export interface World {
  readonly server: NatsServer.NatsServer
  /** A creds file of a program, for 1 minute unless it says another time, ms since 1970. `by`: with the keys of that account. */
  readonly creds: (
    account: string,
    options?: { readonly operator?: boolean; readonly expires?: number; readonly by?: string }
  ) => Promise<string>
  /** Has all users of an account refused that were made up to this second. */
  readonly revoke: (account: string) => Promise<void>
  /** Where creds files may lie. */
  readonly folder: string
}

/** The shop's. */
export const world: Effect.Effect<World, unknown, Scope.Scope> = Effect.suspend(() =>
  of(JSON.parse(committed("accounts.json")).accounts)
)

export const of = Effect.fnUntraced(function* (
  accounts: ReadonlyArray<Accounts.Account>,
  config = ""
): Effect.fn.Return<World, unknown, Scope.Scope> {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "troupe-accounts-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const keysOf = (): AccountKeys => ({
    account: Credentials.seed("account"),
    program: Credentials.seed("account"),
    operator: Credentials.seed("account"),
    revoked: 0
  })
  const own = new Map(accounts.map(({ name }) => [name, keysOf()]))
  const [operator, system] = [Credentials.seed("operator"), Credentials.seed("account")]
  const signed = yield* Effect.promise(() => operatorJwt(operator, system))
  const keys: Keys = { operator, operatorJwt: signed, system, accounts: own }
  // In a file of its own: the server reads it anew when it is told to.
  const file = join(folder, "accounts.conf")
  const configure = async () => writeFileSync(file, await jwt(accounts, keys))
  yield* Effect.promise(configure)
  const server = yield* NatsServer.start({ dir: folder, config: `include "accounts.conf"\n${config}` })
  return {
    server,
    folder,
    creds: async (account, { by = account, expires = Date.now() + 60_000, operator = false } = {}) => {
      const { account: seed } = own.get(account)!
      const { operator: all, program } = own.get(by)!
      const signer = operator ? all : program
      return Credentials.make({
        account,
        key: Credentials.publicOf(seed),
        signer,
        expires: Math.floor(expires / 1_000)
      })
    },
    revoke: async (account) => {
      own.set(account, { ...own.get(account)!, revoked: Math.floor(Date.now() / 1_000) })
      await configure()
      await Effect.runPromise(server.kill("SIGHUP"))
    }
  }
})

/** A bare connection of a program, or of the operator of its account. */
export const login = (
  { creds, server }: World,
  account: string,
  operator = false
): Effect.Effect<NatsConnection, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () =>
      connect({
        servers: `127.0.0.1:${server.port}`,
        authenticator: credsAuthenticator(new TextEncoder().encode(await creds(account, { operator }))),
        inboxPrefix: `_INBOX.${account}`
      })
    ),
    (nc) => Effect.promise(() => nc.close())
  )

/** Writes a creds file in the folder. */
export const write = ({ folder }: World, name: string, creds: string): string => {
  const file = join(folder, name)
  writeFileSync(file, creds, { mode: 0o600 })
  return file
}

export const logOf = ({ server }: World): string => readFileSync(server.log, "utf8")
