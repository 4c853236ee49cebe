import { closeSync, cpSync, mkdtempSync, openSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { NatsServer, Postgres } from "@troupe/embedded"
import { Migrations } from "@troupe/postgres"
import { connected, type HostProcess, startHost } from "@troupe/test-world"
import * as Link from "@troupe/test-world/link"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Sql } from "postgres"
import { tables } from "./bank.ts"
import { hosts } from "./schedule.ts"

/** The place of one host: a process at a time, started again whenever it ends. */
export interface Slot {
  readonly nth: number
  readonly links: { readonly nats: Link.Link; readonly postgres: Link.Link }
  /** While it is ready. */
  host: HostProcess | undefined
  /** A fault ends it: that it ends is no fault of its own. */
  condemned: boolean
  /** One fault at a time strikes its process. */
  readonly alone: Semaphore.Semaphore
}

/** Servers that may be killed, and three hosts of the bank that reach them over links that may be cut. */
export interface World {
  readonly nats: NatsServer.NatsServer
  readonly postgres: Postgres.Postgres
  readonly databaseUrl: string
  /** Reaches Postgres without a link. */
  readonly sql: Sql
  /** Reaches NATS without a link. */
  readonly connection: NatsConnection
  readonly jsm: JetStreamManager
  readonly slots: ReadonlyArray<Slot>
  /** Accounts that throw now. */
  readonly poisoned: Set<string>
  /** One fault at a time strikes each of these. */
  readonly alone: { readonly [of in "nats" | "postgres" | "poison"]: Semaphore.Semaphore }
  /** What should not have happened. */
  readonly problems: Array<string>
  /** Hears when hosts come and go. */
  readonly say: (line: string) => void
  /** Where the hosts' logs and the copies of the store are, until all is over. */
  readonly dir: string
}

/** The world at rest: three hosts will be ready soon. */
export const make = Effect.fnUntraced(function* (
  say: (line: string) => void
): Effect.fn.Return<World, unknown, Scope.Scope> {
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "troupe-chaos-"))),
    (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
  )
  const [nats, postgres] = yield* Effect.all([NatsServer.start(), Postgres.start()], { concurrency: 2 })
  const databaseUrl = Object.assign(new URL(postgres.url), { pathname: "/bank" }).href
  const admin = yield* connected(postgres.url)
  yield* Effect.promise(() => admin.unsafe("create database bank"))
  yield* Migrations.run({ url: Redacted.make(databaseUrl) })
  const sql = yield* connected(databaseUrl)
  yield* Effect.promise(() => sql.unsafe(tables))
  const connection = yield* Effect.acquireRelease(
    Effect.promise(() =>
      connect({ servers: nats.url.replace("nats://", ""), maxReconnectAttempts: -1, reconnectTimeWait: 100 })
    ),
    (connection) => Effect.promise(() => connection.close())
  )
  const slots = yield* Effect.forEach(Array.from({ length: hosts }), (_, nth) =>
    Effect.gen(function* (): Effect.fn.Return<Slot, never, Scope.Scope> {
      const links = yield* Effect.all({ nats: Link.make(nats.port), postgres: Link.make(postgres.port) })
      return { nth, links, host: undefined, condemned: false, alone: Semaphore.makeUnsafe(1) }
    })
  )
  const world: World = {
    nats,
    postgres,
    databaseUrl,
    sql,
    connection,
    jsm: yield* Effect.promise(() => jetstreamManager(connection)),
    slots,
    poisoned: new Set(),
    alone: { nats: Semaphore.makeUnsafe(1), postgres: Semaphore.makeUnsafe(1), poison: Semaphore.makeUnsafe(1) },
    problems: [],
    say,
    dir
  }
  for (const slot of slots) yield* Effect.forkScoped(keep(world, slot))
  return world
})

const script = fileURLToPath(new URL("./host.ts", import.meta.url))

/** Starts the slot's host, and again whenever it ends. */
const keep = (world: World, slot: Slot): Effect.Effect<never> =>
  Effect.gen(function* () {
    slot.condemned = false
    const log = yield* Effect.acquireRelease(
      Effect.sync(() => openSync(logOf(world, slot), "a")),
      (log) => Effect.sync(() => closeSync(log))
    )
    const through = (url: string, { port }: Link.Link) => Object.assign(new URL(url), { port: String(port) }).href
    const settings = {
      natsUrl: through(world.nats.url, slot.links.nats),
      databaseUrl: through(world.databaseUrl, slot.links.postgres)
    }
    const host = yield* startHost(script, settings, log)
    // It ends when it starts while a server is away: that is how it is meant.
    if (host.url === "") return yield* Effect.sleep("200 millis")
    host.tell({ poisoned: [...world.poisoned] })
    slot.host = host
    world.say(`host ${slot.nth} is ready: process ${host.pid}`)
    const { code, signal } = yield* host.ended
    slot.host = undefined
    world.say(`host ${slot.nth} ended: ${signal ?? `code ${code}`}`)
    if (!slot.condemned)
      world.problems.push(`host ${slot.nth} ended by itself: ${signal ?? `code ${code}`}; ${lastLine(host.output())}`)
  }).pipe(Effect.scoped, Effect.forever)

const logOf = ({ dir }: World, { nth }: Slot): string => join(dir, `host-${nth}.log`)

/** Copies what the hosts said to a folder that stays, and answers it. */
export const keepLogs = (world: World): string => {
  const kept = mkdtempSync(join(tmpdir(), "troupe-chaos-logs-"))
  for (const slot of world.slots) cpSync(logOf(world, slot), join(kept, `host-${slot.nth}.log`))
  return kept
}

const lastLine = (output: string): string => output.trimEnd().split("\n").at(-1) ?? ""
