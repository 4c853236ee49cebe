/**
 * A real PostgreSQL for development and tests.
 *
 * @since 0.1.0
 */
import { createHash, randomBytes } from "node:crypto"
import { basename, join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { EmbeddedError } from "./EmbeddedError.ts"
import * as Account from "./internal/account.ts"
import * as Folder from "./internal/folder.ts"
import * as Port from "./internal/port.ts"
import * as PostgresBinaries from "./internal/postgresBinaries.ts"
import * as PostgresData from "./internal/postgresData.ts"
import * as Server from "./internal/server.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** 0, the default, takes a free one between 20000 and 31999. */
  readonly port?: number
  /**
   * Where the data and the log stay. Without it they are temporary and end with the scope. As root the server runs as
   * nobody; if nobody cannot reach this folder, one below /var/lib/troupe stands for it: `dataDir` says where.
   */
  readonly dir?: string
  /** Further settings, as in postgresql.conf. Defaults: `wal_level=logical`, `max_connections=300`. */
  readonly settings?: Readonly<Record<string, string>>
}

/**
 * A running PostgreSQL. It listens on 127.0.0.1 only, has a password of this start alone, and dies with our process however that
 * ends.
 *
 * @category models
 * @since 0.1.0
 */
export interface Postgres extends Server.Server {
  /** For the superuser `postgres` and the database `postgres`, with the password. */
  readonly url: string
  readonly port: number
  readonly dataDir: string
  /** Path of its log. */
  readonly log: string
}

const settled = (port: number, settings: Readonly<Record<string, string>>): ReadonlyArray<string> =>
  Object.entries({
    wal_level: "logical",
    max_connections: "300",
    ...settings,
    port: String(port),
    listen_addresses: "127.0.0.1",
    unix_socket_directories: ""
  }).flatMap(([name, value]) => ["-c", `${name}=${value}`])

// A startup message for postgres@postgres. The server asks for the password (R) once it takes connections; until then
// it answers with an error.
const hello = (): Uint8Array => {
  const body = Buffer.from("\0\x03\0\0user\0postgres\0database\0postgres\0\0", "latin1")
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length + 4)
  return Buffer.concat([length, body])
}

const folderFor = (dir: string, account: Folder.Account | undefined): string =>
  account === undefined || Folder.reachable(join(dir, "data"), account)
    ? dir
    : join("/var/lib/troupe", `${basename(dir)}-${createHash("sha256").update(dir).digest("hex").slice(0, 12)}`)

/**
 * Starts a PostgreSQL 18 and returns when it takes connections. It ends with the scope: SIGINT (fast shutdown), and
 * SIGKILL after 10 s.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<Postgres, EmbeddedError, Scope.Scope> {
  const wanted = options.dir === undefined ? undefined : resolve(options.dir)
  const account = Account.unprivileged(wanted === undefined ? undefined : join(wanted, "data"))
  const binaries = yield* PostgresBinaries.find(account)
  const dir = wanted === undefined ? yield* Folder.temporary("postgres", account) : folderFor(wanted, account)
  yield* PostgresData.around(dir)
  const dataDir = join(dir, "data")
  yield* PostgresData.prepare(binaries, dataDir, account, wanted !== undefined)
  const password = randomBytes(24).toString("base64url")
  const settings = options.settings ?? {}
  const temporary = wanted === undefined ? dir : undefined
  return yield* Port.on(options.port ?? 0, (port) =>
    startOn({ binaries, port, dir, dataDir, password, account, settings, temporary })
  )
})

interface Place {
  readonly binaries: PostgresBinaries.Binaries
  readonly port: number
  readonly dir: string
  readonly dataDir: string
  readonly password: string
  readonly account: Folder.Account | undefined
  readonly settings: Readonly<Record<string, string>>
  readonly temporary: string | undefined
}

const startOn = Effect.fnUntraced(function* ({
  account,
  binaries,
  dataDir,
  dir,
  password,
  port,
  settings,
  temporary
}: Place): Effect.fn.Return<Postgres, EmbeddedError, Scope.Scope> {
  const log = join(dir, "postgres.log")
  const server = yield* Server.make({
    name: "postgres",
    command: join(binaries.home, "bin", "postgres"),
    args: ["-D", dataDir, ...settled(port, settings)],
    cwd: dataDir,
    account,
    log,
    stop: "SIGINT",
    temporary,
    port,
    answers: Port.answers(port, hello(), (first) => first[0] === 0x52),
    patience: 120_000,
    pidFile: join(dataDir, "postmaster.pid"),
    // After SIGKILL the backends need a moment to notice that the postmaster is gone.
    before: PostgresData.setPassword(binaries, dataDir, account, settled(port, settings), password),
    transient: /pre-existing shared memory block|lock file "postmaster.pid" already exists/
  })
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    port,
    dataDir,
    log,
    get pid() {
      return server.pid
    },
    kill: server.kill,
    restart: server.restart
  }
})
