import { randomUUID } from "node:crypto"
import { cpSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { jetstream, jetstreamManager, type StreamConfig } from "@nats-io/jetstream"
import { headers } from "@nats-io/nats-core"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { NatsServer } from "@troupe/embedded"
import { crowd, type Crowd, type Kind } from "./crowd.ts"
import { type Capabilities, Nats, Topology } from "@troupe/nats"
import { Relay } from "@troupe/outbox"
import { Migrations, Sql } from "@troupe/postgres"
import { Commit, Ownership } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import postgres from "postgres"

/** The relay of one partition by itself: on a nats-server of its own, which a test may kill. */
export interface Outbox {
  readonly nats: NatsServer.NatsServer
  readonly sql: postgres.Sql
  /** Takes the partition and starts its relay, until the scope ends. */
  readonly own: Effect.Effect<Owner, unknown, Scope.Scope>
  /** Saves the server's store while it is down, or brings back what was saved; the server runs again afterwards. */
  readonly save: Effect.Effect<void>
  readonly setBack: Effect.Effect<void>
  /** What a stream has, in order. */
  read(stream: string, filter: string): Promise<ReadonlyArray<Seen>>
  publish(subject: string, id: string, body: string): Promise<unknown>
  /** Takes all batches that the server allows, as `crowd` does, until the scope ends. */
  crowd(subjects: ReadonlyArray<string>, kinds: ReadonlyArray<Kind>): Effect.Effect<Crowd, never, Scope.Scope>
  readonly streams: {
    add(name: string, more?: Partial<StreamConfig>): Promise<unknown>
    update(name: string, more: Partial<StreamConfig>): Promise<unknown>
    delete(name: string): Promise<unknown>
  }
}
export interface Owner {
  readonly relay: Relay.Relay
  /** Commits rows and hands them to the relay. Each key's are numbered from 0. */
  commit(
    rows: ReadonlyArray<{ readonly to: "event" | string; readonly key: string; readonly body?: string }>
  ): Effect.Effect<ReadonlyArray<string>, unknown>
}
export interface Seen {
  readonly id: string
  readonly key: string
  readonly body: string
}

let made = 0

export const service = "source"
export const events = `EVT_${service}`
export const lane = `evt.${service}.0.Thing.>`
export const commands = "CMD_target"

export const make = (lowered: Partial<Capabilities> = {}): Effect.Effect<Outbox, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const nats = yield* NatsServer.start()
    const admin = process.env["DATABASE_URL"]!
    const database = `outbox_${process.pid}_${++made}`
    const open = (url: string) =>
      Effect.acquireRelease(
        Effect.sync(() => postgres(url, { max: 2, onnotice: () => {} })),
        (sql) => Effect.promise(() => sql.end({ timeout: 5 }))
      )
    const server = yield* open(admin)
    yield* Effect.acquireRelease(
      Effect.promise(() => server.unsafe(`create database ${database}`)),
      () => Effect.promise(() => server.unsafe(`drop database ${database} with (force)`))
    )
    const url = Redacted.make(Object.assign(new URL(admin), { pathname: `/${database}` }).href)
    yield* Migrations.run({ url })
    const sql = yield* open(Redacted.value(url))
    const context = yield* Layer.build(
      Layer.mergeAll(Nats.layer({ url: Redacted.make(nats.url), capabilities: lowered }), Sql.layer({ url, max: 4 }))
    )
    yield* Effect.provide(Topology.ensure("evt", service, { ...Topology.limits, partitions: 1 }), context)
    yield* Effect.provide(Topology.ensure("cmd", "target", { ...Topology.limits, partitions: 1 }), context)

    /** On a connection that ends with it: the server comes and goes. */
    const on = async <A>(body: (connection: NatsConnection) => Promise<A>): Promise<A> => {
      const connection = await connect({ servers: nats.url, reconnect: false })
      return body(connection).finally(() => connection.close())
    }
    const saved = join(tmpdir(), database)
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(saved, { recursive: true, force: true })))
    const whileDown = (copy: () => void) =>
      Effect.gen(function* () {
        yield* nats.kill("SIGKILL")
        copy()
        yield* Effect.orDie(nats.restart)
      })
    return {
      nats,
      sql,
      own: Effect.provide(own(sql), context),
      save: whileDown(() => cpSync(nats.store, saved, { recursive: true })),
      setBack: whileDown(() => {
        rmSync(nats.store, { recursive: true })
        cpSync(saved, nats.store, { recursive: true })
      }),
      read: (stream, filter) => on((connection) => read(connection, stream, filter)),
      publish: (subject, id, body) =>
        on((connection) => {
          const wire = headers()
          wire.set("Nats-Msg-Id", id)
          return jetstream(connection).publish(subject, body, { headers: wire })
        }),
      crowd: (subjects, kinds) => crowd(nats.url, subjects, kinds),
      streams: {
        add: (name, more) =>
          on(async (connection) => {
            const target = name.slice("CMD_".length)
            const manager = await jetstreamManager(connection)
            return manager.streams.add({ name, subjects: [`cmd.${target}.>`], allow_batched: true, ...more })
          }),
        update: (name, more) =>
          on(async (connection) => (await jetstreamManager(connection)).streams.update(name, more)),
        delete: (name) => on(async (connection) => (await jetstreamManager(connection)).streams.delete(name))
      }
    }
  })

const own = (sql: postgres.Sql): Effect.Effect<Owner, unknown, Nats | Sql | Scope.Scope> =>
  Effect.gen(function* () {
    const consumer = (yield* Effect.promise(() => Ownership.consumer(sql, `${service}.Thing`, 1)))!
    const [taken] = yield* Effect.promise(() => Ownership.take(sql, consumer, [0], { id: randomUUID(), contract: 1 }))
    let { fence, pos } = taken!
    const relay = yield* Relay.make({ service, fence, lane, setBack: false })
    const numbers = new Map<string, number>()
    return {
      relay,
      commit: (wanted) =>
        Effect.gen(function* () {
          const outbox = wanted.map(({ body, key, to }): Commit.OutboxRow => {
            const event = to === "event"
            const id = randomUUID()
            const n = numbers.get(`${to} ${key}`) ?? 0
            numbers.set(`${to} ${key}`, n + 1)
            const parsed = { "ce-id": id, ...(event ? { "Troupe-Lane-Position": String(++pos) } : {}) }
            return {
              pos: event ? pos : ++pos,
              stream: event ? events : to,
              id,
              subject: event ? `evt.${service}.Thing.done.${key}` : `cmd.${to.slice("CMD_".length)}.Other.act.${key}`,
              headers: JSON.stringify(parsed),
              parsed,
              body: body ?? String(n)
            }
          })
          const work: Commit.Work = {
            fence,
            pos,
            cursors: {},
            inbox: [],
            states: [],
            outbox,
            more: { watermarks: relay.watermarks() },
            bytes: 0
          }
          const verdictOf = yield* Effect.tryPromise(() => Commit.commit(sql as never, [work]))
          if (verdictOf(fence) !== "committed") return yield* Effect.fail("refused")
          fence = { ...fence, n: fence.n + 1 }
          relay.committed(work)
          return outbox.map(({ id }) => id)
        })
    }
  })

const read = async (connection: NatsConnection, stream: string, filter: string): Promise<ReadonlyArray<Seen>> => {
  const consumer = await jetstream(connection).consumers.get(stream, { filter_subjects: filter })
  const left = (await consumer.info()).num_pending
  const seen: Array<Seen> = []
  if (left === 0) return seen
  for await (const message of await consumer.fetch({ max_messages: left, expires: 5_000 })) {
    seen.push({
      id: message.headers?.get("Nats-Msg-Id") ?? "",
      key: message.subject.split(".").at(-1)!,
      body: message.string()
    })
    if (seen.length === left) break
  }
  return seen
}
