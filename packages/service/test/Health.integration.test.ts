import { assert, it } from "@effect/vitest"
import type { Partition } from "@troupe/actor/engine"
import { Codes } from "@troupe/contract"
import { Nats } from "@troupe/nats"
import { Migrations, Sql } from "@troupe/postgres"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Health from "../src/Health.ts"
import * as Outboxes from "../src/Outboxes.ts"

const admin = process.env["DATABASE_URL"] ?? "postgres://DATABASE_URL-is-not-set"
const natsUrl = Redacted.make(process.env["NATS_URL"] ?? "NATS_URL is not set")

const sqlOf = (url: string) => Layer.build(Sql.layer({ url: Redacted.make(url), max: 4 }))

let databases = 0

/** A migrated database of its own, and the shared nats-server. */
const servers = Effect.gen(function* () {
  const server = Context.get(yield* sqlOf(admin), Sql)
  const name = `health_${process.pid}_${++databases}`
  yield* Effect.acquireRelease(
    Effect.promise(() => server.unsafe(`create database ${name}`)),
    () => Effect.promise(() => server.unsafe(`drop database ${name} with (force)`))
  )
  const url = Object.assign(new URL(admin), { pathname: `/${name}` }).href
  yield* Migrations.run({ url: Redacted.make(url) })
  return Context.merge(yield* sqlOf(url), yield* Layer.build(Nats.layer({ url: natsUrl })))
})

const withServers = <A, E>(self: Effect.Effect<A, E, Nats | Sql | Scope.Scope>) =>
  Effect.flatMap(servers, (context) => Effect.provideContext(self, context)).pipe(Effect.scoped)

/** A stream of its own that holds one message per subject. */
const stream = (...subjects: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { js, jsm } = yield* Nats
    const name = `health-${crypto.randomUUID()}`
    yield* Effect.acquireRelease(
      Effect.promise(() => jsm.streams.add({ name, subjects: [`${name}.>`] })),
      () => Effect.promise(() => jsm.streams.delete(name))
    )
    for (const subject of subjects) yield* Effect.promise(() => js.publish(`${name}.${subject}`))
    return name
  })

const partition = (name: string, stream: string, p: number, ready = true): Partition.Progress => ({
  consumer: { id: 1, name, sources: [{ stream, kind: "cmd", filter: (p: number) => `${stream}.${p}.>` }] } as never,
  p,
  assigned: true,
  held: undefined,
  ready,
  trouble: ready ? undefined : "waits",
  away: false,
  failures: 0,
  cursors: {},
  pending: {},
  n: 0,
  notice: undefined,
  limits: { messages: 1, bytes: 1 },
  room: undefined
})

/** Looks again, every 20 ms, until it is as wanted: what it was in between is in the message when it never is. */
const until = (health: Effect.Effect<Health.Health>, wanted: (health: Health.Health) => boolean) =>
  health.pipe(
    Effect.repeat({ until: wanted, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOrElse({
      duration: "20 seconds",
      orElse: () => Effect.flatMap(health, (last) => Effect.die(new Error(`never as wanted: ${JSON.stringify(last)}`)))
    })
  )

const membership = () => ({ out: () => undefined, orphans: () => [] })
const hasty = {
  patience: 300,
  interval: "50 millis",
  membership,
  where: { nats: "nats", database: "database" }
} as const
const stands = (partition: string) => Codes.text("TRP0328", partition, "its cursor stands still")
/** The consumer 1, of which only the outbox is looked at here. */
const sender: Partition.Progress = {
  ...partition("a.Sender", "", 3),
  consumer: { id: 1, name: "a.Sender", sources: [] }
}

it.live("a stream that cannot be asked hides no other partition, and is trouble itself", () =>
  withServers(
    Effect.gen(function* () {
      const name = yield* stream("0.x", "1.x")
      const partitions = [
        partition("a.Lost", `${name}-none`, 0),
        partition("a.Waits", `${name}-none`, 0, false),
        partition("a.Stalled", name, 0),
        partition("a.Idle", name, 2)
      ]
      const health = yield* Health.watch({ partitions, ...hasty })
      assert.isTrue((yield* health).live, "nobody is judged at once")
      const { consumers, trouble } = yield* until(health, ({ live }) => !live)
      assert.deepStrictEqual(trouble, [
        Codes.text("TRP0328", "a.Waits", "waits"),
        stands("a.Lost, partition 0"),
        stands("a.Stalled, partition 0")
      ])
      assert.deepStrictEqual(
        consumers.map(({ behind }) => behind),
        [1, 0, 1, 0]
      )

      // The one goes on, and the other is lost to its owner.
      for (const one of partitions) {
        if (one.consumer.name === "a.Stalled") one.cursors = { [name]: { seq: 1, id: "" } } as never
        if (one.consumer.name === "a.Lost") one.ready = false
      }
      yield* until(health, ({ live }) => live)
    })
  )
)

it.live("a partition whose edge is away is trouble, and no reason to start its host anew", () =>
  withServers(
    Effect.gen(function* () {
      const name = yield* stream("0.x", "1.x")
      const waiting = { ...partition("a.Remote", name, 0, false), away: true }
      const partitions = [waiting, partition("a.Stalled", name, 1)]
      const health = yield* Health.watch({ partitions, ...hasty })
      const { consumers, ready, trouble } = yield* until(health, ({ live }) => !live)
      assert.deepStrictEqual(trouble, [Codes.text("TRP0328", "a.Remote", "waits"), stands("a.Stalled, partition 1")])
      assert.deepStrictEqual([ready, consumers.map(({ behind }) => behind)], [false, [1, 1]])
      // Its edge is back, and it stands still all the same.
      Object.assign(waiting, { ready: true, away: false })
      yield* until(health, ({ trouble }) => trouble.includes(stands("a.Remote, partition 0")))
    })
  )
)

it.live(
  "a partition that another living host has not given back is that host's stall, not of the host that waits",
  () =>
    withServers(
      Effect.gen(function* () {
        const name = yield* stream("0.x")
        const waits: Partition.Progress = { ...partition("a.Waits", name, 0, false), held: "elsewhere" }
        const has: Partition.Progress = { ...partition("a.Has", name, 0), assigned: false, held: "here" }
        const health = yield* Health.watch({ partitions: [waits, has], ...hasty })
        const { ready, trouble } = yield* until(health, ({ live }) => !live)
        assert.isFalse(ready)
        assert.deepStrictEqual(trouble, [Codes.text("TRP0328", "a.Waits", "waits"), stands("a.Has, partition 0")])
        // Now it is given back, and nobody takes it.
        waits.held = undefined
        has.held = undefined
        const stalled = yield* until(health, ({ trouble }) => trouble.includes(stands("a.Waits, partition 0")))
        assert.isFalse(stalled.live)
        assert.notInclude(stalled.trouble.join(), "a.Has")
      })
    )
)

it.live("a nats-server that never answers is asked again, holds up no look, and is no reason to be started anew", () =>
  withServers(
    Effect.gen(function* () {
      let asked = 0
      const getMessage = () => {
        asked++
        return new Promise(() => {})
      }
      const jsm = { streams: { getMessage } }
      const deaf = { connection: { info: {}, isClosed: () => false }, api: async () => ({ jsm }) }
      const partitions = Array.from({ length: 100 }, (_, p) => partition("a.Deaf", "CMD_a", p))
      const watched = Health.watch({ partitions, ...hasty })
      const health = yield* Effect.provideService(watched, Nats, Nats.of(deaf as never))
      const { live, trouble } = yield* until(health, ({ ready }) => !ready && asked > 16)
      assert.isAbove(asked, 16, "the first look was given up")
      assert.isTrue(live, "a restart would not make it answer")
      assert.match(trouble.join(), /TRP0429.*CMD_a.*does not answer/)
    })
  )
)

const insert = (pos: number, stream = "EVT_here") =>
  Effect.flatMap(Sql, (sql) =>
    Effect.promise(
      () => sql`insert into troupe.outbox (slot, consumer, p, pos, stream, id, subject, headers, body)
        select pos % 12, 1, 3, pos, ${stream}, gen_random_uuid(), 's', '{}', '{}' from generate_series(1, ${pos}::int) pos`
    )
  )
const watermark = (pos: number) =>
  Effect.flatMap(Sql, (sql) =>
    Effect.promise(
      () => sql`insert into troupe.watermark (consumer, p, stream, pos, sequence, created)
        values (1, 3, 'EVT_here', ${pos}, 1, '') on conflict (consumer, p, stream) do update set pos = excluded.pos`
    )
  )
const stuck = (health: Effect.Effect<Health.Health>) => until(health, ({ live }) => !live)
const unmoved = (stream: string) => Codes.text("TRP0328", "a.Sender", `its outbox to ${stream} does not move`)
const still = unmoved("EVT_here")

it.live("an outbox that gets rid of nothing is trouble, with a watermark and without", () =>
  withServers(
    Effect.gen(function* () {
      const health = yield* Health.watch({ partitions: [sender], ...hasty })
      yield* insert(100)
      assert.deepStrictEqual((yield* until(health, ({ live }) => !live)).trouble, [still])
      yield* watermark(50)
      yield* until(health, ({ live }) => live)
      assert.deepStrictEqual((yield* until(health, ({ live }) => !live)).trouble, [still])
      yield* watermark(100)
      assert.deepStrictEqual((yield* until(health, ({ live }) => live)).trouble, [])
    })
  )
)

it.live("an outbox whose commands another service does not take is trouble, and no reason to be started anew", () =>
  withServers(
    Effect.gen(function* () {
      const health = yield* Health.watch({ partitions: [sender], ...hasty })
      yield* insert(10, "CMD_elsewhere")
      const { live, trouble } = yield* until(health, ({ trouble }) => trouble.length > 0)
      assert.deepStrictEqual(trouble, [unmoved("CMD_elsewhere")])
      assert.isTrue(live)
    })
  )
)

it.live("an outbox with a long backlog that moves is no trouble", () =>
  withServers(
    Effect.gen(function* () {
      yield* insert(1_000)
      const patience = 1_500
      const health = yield* Health.watch({ ...hasty, partitions: [sender], patience })
      // In small steps, for twice as long as it may stand still.
      const until = performance.now() + 2 * patience
      for (let pos = 1; performance.now() < until; pos++) {
        yield* watermark(pos)
        yield* Effect.sleep("30 millis")
        assert.deepStrictEqual((yield* health).trouble, [])
      }
      assert.deepStrictEqual((yield* stuck(health)).trouble, [still])
    })
  )
)

it.live("outboxes of partitions that other hosts own are not its trouble", () =>
  withServers(
    Effect.gen(function* () {
      yield* insert(3)
      const mine = yield* Health.watch({ partitions: [sender], ...hasty })
      const other = yield* Health.watch({ partitions: [{ ...sender, assigned: false }], ...hasty })
      yield* until(mine, ({ live }) => !live)
      assert.isTrue((yield* other).live)
    })
  )
)

it.live("a database that does not answer in time makes it unready, and health goes on looking", () =>
  withServers(
    Effect.gen(function* () {
      const sql = yield* Sql
      const health = yield* Health.watch({ partitions: [], ...hasty })
      yield* until(health, ({ ready }) => ready)
      const locked = sql.unsafe("begin; lock table troupe.outbox in access exclusive mode; select pg_sleep(4); commit")
      const holder = yield* Effect.forkChild(Effect.promise(() => locked))
      const { trouble } = yield* until(health, ({ ready }) => !ready)
      assert.match(trouble[0] ?? "", /^TRP0501 .* · database · .*statement timeout/)
      yield* Fiber.join(holder)
      yield* until(health, ({ ready }) => ready)
    })
  )
)

it.live("asking which outboxes wait reads some index entries of each, not its rows", () =>
  withServers(
    Effect.gen(function* () {
      const sql = yield* Sql
      yield* insert(20_000)
      yield* watermark(20_000)
      yield* insert(20_000, "CMD_other")
      yield* Effect.promise(() => sql`analyze troupe.outbox`)
      let asked = ""
      const listening = new Proxy(sql, {
        get: (target, name) =>
          name === "unsafe" ? (text: string) => target.unsafe((asked = text)) : Reflect.get(target, name)
      })
      assert.deepStrictEqual(yield* Effect.provideService(Outboxes.waiting, Sql, listening), [
        { consumer: 1, p: 3, stream: "CMD_other", watermark: 0, newest: 20_000 }
      ])
      const [, statement = ""] = asked.split("as standby;")
      const rows = yield* Effect.promise(() => sql.unsafe(`explain (analyze, buffers, format json) ${statement}`))
      const [{ Plan }] = rows.flatMap((row) => row["QUERY PLAN"]) as [{ Plan: Record<string, number> }]
      // 40 000 rows are 500 buffers and more.
      assert.isBelow((Plan["Shared Hit Blocks"] ?? Infinity) + (Plan["Shared Read Blocks"] ?? 0), 250)
    })
  )
)
