/**
 * A real nats-server for development and tests.
 *
 * @since 0.1.0
 */
import { randomUUID } from "node:crypto"
import { lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as EmbeddedError from "./EmbeddedError.ts"
import * as Folder from "./internal/folder.ts"
import * as NatsBinary from "./internal/natsBinary.ts"
import * as Port from "./internal/port.ts"
import * as Server from "./internal/server.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** 0, the default, takes a free one between 20000 and 31999. */
  readonly port?: number
  /** Where the store, the configuration and the log stay. Without it they are temporary and end with the scope. */
  readonly dir?: string
  /** Appended to the configuration file as it is: accounts, limits, a websocket listener, ... */
  readonly config?: string
  /** Sync every write to disk before it is acknowledged (`sync_interval: always`). */
  readonly syncAlways?: boolean
}

/**
 * A running nats-server with JetStream on file storage. It listens on 127.0.0.1 only, and dies with our process
 * however that ends.
 *
 * @category models
 * @since 0.1.0
 */
export interface NatsServer extends Server.Server {
  readonly url: string
  readonly port: number
  /** JetStream's store directory. */
  readonly store: string
  /** Path of its log. */
  readonly log: string
}

/**
 * The path of a nats-server of 2.11 or newer. Tried in this order: the variable `NATS_SERVER`, `PATH`, the cache
 * (`TROUPE_CACHE`), the project's release by pinned checksum, Debian's package from sid through a private apt state.
 * What is fetched goes into the cache; nothing is installed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const binary: Effect.Effect<string, EmbeddedError.EmbeddedError> = NatsBinary.find

const configuration = (name: string, port: number, dir: string, options: Options): string =>
  [
    // Here and not as an argument: a server that is told to reload refuses to lose it.
    `server_name: ${name}`,
    `listen: "127.0.0.1:${port}"`,
    `pid_file: ${JSON.stringify(join(dir, "nats-server.pid"))}`,
    "jetstream {",
    `  store_dir: ${JSON.stringify(join(dir, "store"))}`,
    ...(options.syncAlways === true ? ["  sync_interval: always"] : []),
    "}",
    options.config ?? "",
    ""
  ].join("\n")

/** Whether a configuration may be written here: over one of ours, or where there is none. */
const isOwn = (file: string): boolean => {
  const found = lstatSync(file, { throwIfNoEntry: false })
  return found === undefined || (found.isFile() && readFileSync(file, "utf8").startsWith("server_name: troupe-"))
}

/** For us only: a configuration may have passwords. */
const writeOwn = (file: string, text: string): void => {
  rmSync(file, { force: true })
  writeFileSync(file, text, { flag: "wx", mode: 0o600 })
}

/**
 * Starts a nats-server and returns when it answers. It ends with the scope: SIGTERM, and SIGKILL after 10 s.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<NatsServer, EmbeddedError.EmbeddedError, Scope.Scope> {
  const command = yield* binary
  const dir = options.dir === undefined ? yield* Folder.temporary("nats", undefined) : resolve(options.dir)
  return yield* Port.on(options.port ?? 0, (port) => startOn(command, port, dir, options))
})

const startOn = Effect.fnUntraced(function* (
  command: string,
  port: number,
  dir: string,
  options: Options
): Effect.fn.Return<NatsServer, EmbeddedError.EmbeddedError, Scope.Scope> {
  // Tells this server from another one that took the port: INFO carries the name.
  const name = `troupe-${randomUUID()}`
  const file = join(dir, "nats-server.conf")
  if (!isOwn(file))
    return yield* EmbeddedError.make("foreign", {
      happened: "the file belongs to somebody else",
      to: file,
      why: "it is a symbolic link, or no configuration that Troupe wrote",
      todo: "move it away, or choose another folder"
    })
  yield* Folder.access(dir, () => {
    mkdirSync(dir, { recursive: true })
    writeOwn(file, configuration(name, port, dir, options))
  })
  const log = join(dir, "nats-server.log")
  const server = yield* Server.make({
    name: "nats-server",
    command,
    args: ["--config", file],
    cwd: dir,
    account: undefined,
    log,
    stop: "SIGTERM",
    temporary: options.dir === undefined ? dir : undefined,
    port,
    answers: Port.answers(port, undefined, (first) => first.includes(name)),
    patience: 15_000,
    pidFile: join(dir, "nats-server.pid"),
    before: undefined,
    transient: undefined
  })
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    store: join(dir, "store"),
    log,
    get pid() {
      return server.pid
    },
    kill: server.kill,
    restart: server.restart
  }
})
