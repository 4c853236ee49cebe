import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { Postgres } from "@troupe/embedded"
import { Migrations } from "@troupe/postgres"
import { connected, type HostProcess, startHost } from "@troupe/test-world"
import * as Link from "@troupe/test-world/link"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Sql } from "postgres"
import { tables } from "./bank.ts"
import * as Broker from "./broker.ts"
import * as Health from "./health.ts"
import type { Lost } from "./invariants.ts"
import type { Journal } from "./load.ts"
import * as Ownership from "./ownership.ts"
import { hosts } from "./schedule.ts"

/** The place of one host: a process at a time, started again whenever it ends. */
export interface Slot {
  readonly nth: number
  readonly links: { readonly nats: Link.Link; readonly postgres: Link.Link }
  /** Of NATS, over the links. */
  readonly natsUrl: string
  /** While it is ready. */
  host: HostProcess | undefined
  /** A fault ends it: that it ends is no fault of its own. */
  condemned: boolean
  /** A fault froze it: it answers nobody, and is none of the health's. */
  excused: boolean
  /** A fault made its event loop stand: who kills it does right. */
  wedged: boolean
  /** How far the wall clock of its next process is off, in ms. */
  clock: number
  /** One fault at a time strikes its process. */
  readonly alone: Semaphore.Semaphore
}

/** Servers that may be killed, and three hosts of the bank that reach them over links that may be cut. */
export interface World {
  readonly nats: Broker.Broker
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
  /** One fault at a time strikes each of these; `past` is what a server goes back to. */
  readonly alone: { readonly [of in "nats" | "postgres" | "poison" | "past"]: Semaphore.Semaphore }
  /** Every fault passes it when it begins; a fault that bears no other one beside it keeps it. */
  readonly gate: Semaphore.Semaphore
  /** Faults that strike now. */
  striking: number
  readonly journal: Journal
  /** When commits were made that were lost with the database. */
  readonly lost: Array<Lost>
  /** Hosts that were killed since their health failed. */
  readonly killed: Array<{ readonly wedged: boolean }>
  /** Partitions that were taken by a host so far. */
  takeOvers: number
  /** What should not have happened. */
  readonly problems: Array<string>
  /** Hears when hosts come and go. */
  readonly say: (line: string) => void
  /** Where the hosts' logs and the copies of the store are, until all is over. */
  readonly dir: string
}

/** The world at rest: three hosts will be ready soon. */
export const make = Effect.fnUntraced(function* ({
  clustered,
  journal,
  say
}: Pick<World, "journal" | "say"> & {
  /** NATS is three servers. */
  readonly clustered: boolean
}): Effect.fn.Return<World, unknown, Scope.Scope> {
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "troupe-chaos-"))),
    (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
  )
  const [nats, postgres] = yield* Effect.all([Broker.make(clustered), Postgres.start()], { concurrency: 2 })
  const databaseUrl = Object.assign(new URL(postgres.url), { pathname: "/bank" }).href
  const admin = yield* connected(postgres.url)
  yield* Effect.promise(() => admin.unsafe("create database bank"))
  yield* Migrations.run({ url: Redacted.make(databaseUrl) })
  const sql = yield* connected(databaseUrl)
  yield* Effect.promise(() => sql.unsafe(tables))
  const connection = yield* Effect.acquireRelease(
    Effect.promise(() =>
      connect({
        servers: nats.servers.map(({ port }) => `127.0.0.1:${port}`),
        maxReconnectAttempts: -1,
        reconnectTimeWait: 100
      })
    ),
    (connection) => Effect.promise(() => connection.close())
  )
  const slots = yield* Effect.forEach(Array.from({ length: hosts }), (_, nth) =>
    Effect.gen(function* (): Effect.fn.Return<Slot, never, Scope.Scope> {
      const [first, ...rest] = nats.servers
      const toNats = [
        yield* Link.make(first.port),
        ...(yield* Effect.forEach(rest, ({ port }) => Link.make(port)))
      ] as const
      const links = { nats: Link.join([...toNats]), postgres: yield* Link.make(postgres.port) }
      const natsUrl = toNats.map(({ port }) => `nats://127.0.0.1:${port}`).join()
      const state = { host: undefined, condemned: false, excused: false, wedged: false, clock: 0 }
      return { nth, links, natsUrl, ...state, alone: Semaphore.makeUnsafe(1) }
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
    alone: {
      nats: Semaphore.makeUnsafe(1),
      postgres: Semaphore.makeUnsafe(1),
      poison: Semaphore.makeUnsafe(1),
      past: Semaphore.makeUnsafe(1)
    },
    gate: Semaphore.makeUnsafe(1),
    striking: 0,
    journal,
    lost: [],
    killed: [],
    takeOvers: 0,
    problems: [],
    say,
    dir
  }
  for (const slot of slots) {
    yield* Effect.forkScoped(keep(world, slot))
    yield* Effect.forkScoped(Health.supervise(world, slot))
  }
  yield* Effect.forkScoped(Ownership.count(world))
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
    const { links, natsUrl } = slot
    const settings = {
      natsUrl,
      databaseUrl: Object.assign(new URL(world.databaseUrl), { port: String(links.postgres.port) }).href,
      limits: { replicas: world.nats.servers.length },
      clock: slot.clock
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

/** File with what the hosts of a slot said. */
export const logOf = ({ dir }: Pick<World, "dir">, { nth }: Pick<Slot, "nth">): string => join(dir, `host-${nth}.log`)

const lastLine = (output: string): string => output.trimEnd().split("\n").at(-1) ?? ""
