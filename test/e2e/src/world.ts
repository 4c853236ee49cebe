import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import type { Client } from "@troupe/client"
import { layer as client } from "@troupe/client/node"
import { Migrations } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import postgres from "postgres"
import { counters, tables } from "./counters.ts"
import type { Settings } from "./host.ts"

/** A service of its own on the shared servers: its name, its database, and ways to look at both. */
export interface World {
  readonly name: string
  readonly natsUrl: string
  readonly databaseUrl: string
  readonly sql: postgres.Sql
  readonly nats: NatsConnection
  readonly jsm: JetStreamManager
  readonly contract: ReturnType<typeof counters>["contract"]
  readonly service: ReturnType<typeof counters>["service"]
  readonly client: Layer.Layer<Client>
  /** Starts a host in a process of its own and waits until it is ready, or has ended. */
  start(settings?: Partial<Settings>): Effect.Effect<HostProcess, never, Scope.Scope>
}

export interface HostProcess {
  readonly pid: number
  /** Where its health endpoints are; empty when it ended before it was ready. */
  readonly url: string
  kill(signal: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): void
  /** Everything that it wrote to stdout. */
  readonly output: () => string
  readonly ended: Effect.Effect<{ readonly code: number | null; readonly signal: string | null }>
}

let worlds = 0

/** A world on the servers that all integration tests share. */
export const make: Effect.Effect<World, unknown, Scope.Scope> = Effect.suspend(() =>
  on({ natsUrl: process.env["NATS_URL"]!, adminUrl: process.env["DATABASE_URL"]! })
)

/** A world on servers of its own, which a test may kill. */
export const on = Effect.fnUntraced(function* (servers: {
  readonly natsUrl: string
  readonly adminUrl: string
}): Effect.fn.Return<World, unknown, Scope.Scope> {
  const name = `counters-${process.pid}-${++worlds}`
  const { adminUrl: admin, natsUrl } = servers
  const database = name.replaceAll("-", "_")
  const databaseUrl = Object.assign(new URL(admin), { pathname: `/${database}` }).href
  const server = yield* connected(admin)
  yield* Effect.acquireRelease(
    Effect.promise(() => server.unsafe(`create database ${database}`)),
    () => Effect.promise(() => server.unsafe(`drop database ${database} with (force)`))
  )
  yield* Migrations.run({ url: Redacted.make(databaseUrl) })
  const sql = yield* connected(databaseUrl)
  yield* Effect.promise(() => sql.unsafe(tables))
  const nats = yield* Effect.acquireRelease(
    Effect.promise(() =>
      connect({ servers: natsUrl.replace("nats://", ""), maxReconnectAttempts: -1, reconnectTimeWait: 100 })
    ),
    (nats) => Effect.promise(() => nats.close())
  )
  const jsm = yield* Effect.promise(() => jetstreamManager(nats))
  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => {
      for (const stream of [`CMD_${name}`, `EVT_${name}`]) await jsm.streams.delete(stream).catch(() => {})
    })
  )
  return {
    ...counters(name),
    name,
    natsUrl,
    databaseUrl,
    sql,
    nats,
    jsm,
    client: Layer.orDie(client({ servers: natsUrl })),
    start: (settings) => start({ name, natsUrl, databaseUrl, ...settings })
  }
})

const connected = (url: string) =>
  Effect.acquireRelease(
    Effect.sync(() => postgres(url, { max: 4, onnotice: () => {} })),
    (sql) => Effect.promise(() => sql.end({ timeout: 5 }))
  )

const host = fileURLToPath(new URL("./host.ts", import.meta.url))

const start = (settings: Settings): Effect.Effect<HostProcess, never, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, ["--conditions=@troupe/source", host, JSON.stringify(settings)], {
          stdio: ["ignore", "pipe", "inherit"]
        })
      ),
      (child) =>
        Effect.andThen(
          Effect.sync(() => child.kill("SIGKILL")),
          ended(child)
        )
    )
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text))
    const ready = Effect.callback<void>((resume) => {
      const look = () => (/^ready /m.test(output) ? resume(Effect.void) : undefined)
      child.stdout.on("data", look)
      look()
    })
    yield* Effect.raceFirst(ready, ended(child))
    return {
      pid: child.pid!,
      url: /^ready (\S+)$/m.exec(output)?.[1] ?? "",
      kill: (signal) => void child.kill(signal),
      output: () => output,
      ended: ended(child)
    }
  })

const ended = (child: ChildProcess) =>
  Effect.callback<{ readonly code: number | null; readonly signal: string | null }>((resume) => {
    const done = () => resume(Effect.succeed({ code: child.exitCode, signal: child.signalCode }))
    if (child.exitCode !== null || child.signalCode !== null) done()
    else child.once("close", done)
  })

/** Looks again, every 20 ms, until what it sees is as wanted: for work that goes on in other processes. Dies after 60 s. */
export const until = <A>(look: () => Promise<A>, wanted: (seen: A) => boolean): Effect.Effect<A> =>
  Effect.promise(look).pipe(
    Effect.repeat({ until: wanted, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOrElse({
      duration: "60 seconds",
      orElse: () =>
        Effect.flatMap(Effect.promise(look), (seen) =>
          Effect.die(new Error(`never as wanted: ${JSON.stringify(seen)}`))
        )
    })
  ) as Effect.Effect<A>

/**
 * Every row of the outbox is in its stream, and every message of both streams is handled: the newest marks stand at the
 * last message of each partition.
 */
export const settled = (world: World): Effect.Effect<void> =>
  Effect.asVoid(
    until(
      () => unsettled(world),
      (what) => what === undefined
    )
  )

const unsettled = async ({ jsm, name, sql }: World): Promise<string | undefined> => {
  const events = `EVT_${name}`
  const commands = `CMD_${name}`
  const marks = await sql`select distinct on (c.name, m.p) c.name, m.p, m.cursors from troupe.mark m
    join troupe.consumer c on c.id = m.consumer order by c.name, m.p, m.n desc`
  const seq = (consumer: string, p: number, stream: string): number =>
    JSON.parse(marks.find((mark) => mark["name"] === consumer && mark["p"] === p)?.["cursors"] ?? "{}")[stream]?.seq ??
    0
  const [{ staged }] = (await sql`select count(*)::int as staged from troupe.outbox where stream = ${events}`) as [
    { staged: number }
  ]
  const { messages } = (await jsm.streams.info(events)).state
  if (messages < staged) return `${messages} of ${staged} events published`
  const [{ enqueued }] = (await sql`select count(*)::int as enqueued from troupe.enqueued`) as [{ enqueued: number }]
  if (enqueued > 0) return `${enqueued} enqueued`
  for (let p = 0; p < 16; p++) {
    for (const [consumer, stream, filter] of [
      [`${name}.Counter`, commands, `cmd.${name}.${p}.>`],
      [`${name}.log`, events, `evt.${name}.${p}.Counter.>`]
    ] as const) {
      const last = await jsm.streams.getMessage(stream, { last_by_subj: filter })
      if (last !== null && last.seq > seq(consumer, p, stream))
        return `${consumer}, partition ${p}: ${seq(consumer, p, stream)} of ${last.seq}`
    }
  }
  return undefined
}
