import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import { Migrations, Sql } from "@troupe/postgres"
import { Ownership } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Guard from "../../src/guard/Guard.ts"
import type { Settings } from "./process.ts"

const admin = process.env["DATABASE_URL"] ?? "postgres://DATABASE_URL-is-not-set"
const script = fileURLToPath(new URL("./process.ts", import.meta.url))
const sqlOf = (url: string) => Effect.map(Layer.build(Sql.layer({ url: Redacted.make(url), max: 2 })), Context.get(Sql))

let databases = 0
/** A migrated database of its own with a consumer of one partition. */
const database = Effect.gen(function* () {
  const server = yield* sqlOf(admin)
  const name = `guard_${process.pid}_${++databases}`
  yield* Effect.acquireRelease(
    Effect.promise(() => server.unsafe(`create database ${name}`)),
    () => Effect.promise(() => server.unsafe(`drop database ${name} with (force)`))
  )
  const url = Object.assign(new URL(admin), { pathname: `/${name}` }).href
  yield* Migrations.run({ url: Redacted.make(url) })
  const sql = yield* sqlOf(url)
  return { url, sql, consumer: (yield* Effect.promise(() => Ownership.consumer(sql, "x.X", 1)))! }
})

/** A process that stands still beside a database. */
const world = Effect.fnUntraced(function* (settings: Pick<Settings, "running" | "then" | "json">) {
  const { consumer, sql, url } = yield* database
  const host = crypto.randomUUID()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        process.execPath,
        [
          "--conditions=@troupe/source",
          script,
          JSON.stringify({ url, host, consumer, ...settings } satisfies Settings)
        ],
        { stdio: ["ignore", "pipe", "pipe"] }
      )
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const said = { out: "", err: "" }
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.out += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.err += text))
  let ended: string | undefined
  child.on("close", (code, signal) => (ended = signal ?? String(code)))
  const until = <A>(look: () => A | Promise<A>, wanted: (seen: A) => boolean) =>
    Effect.promise(async () => look()).pipe(
      Effect.repeat({ until: wanted, schedule: Schedule.spaced("20 millis") }),
      Effect.timeout("30 seconds"),
      Effect.catch(() => Effect.die(new Error(`never as wanted; it said ${JSON.stringify(said)}`)))
    )
  return {
    consumer,
    said,
    until,
    ended: until(
      () => ended,
      (ended) => ended !== undefined
    ),
    suspects: async () =>
      (await sql`select id, noted_by, open, alone, strikes, what from troupe.suspect order by id`).map((row) => ({
        ...row
      })),
    heartbeats: async () =>
      (await sql`select heartbeat::text as at from troupe.host where id = ${host}::uuid`).map((row) => row["at"])
  }
})

const noted = (id: string, alone: boolean, strikes: number) => ({
  id,
  noted_by: "watch",
  open: true,
  alone,
  strikes,
  what: `x.X.burn ${id}, id ${id}`
})

it.live("a loop that computes for longer than the lease keeps it, and what ran is noted until the loop goes on", () =>
  Effect.gen(function* () {
    const { heartbeats, said, suspects, until } = yield* world({ running: ["a"], then: { compute: 2_500 } })
    const rows = yield* until(suspects, (rows) => rows.length > 0)
    assert.deepStrictEqual(rows, [noted("a", true, 0)])
    assert.notInclude(said.out, "stood", "it was noted while the loop stood")
    const before = yield* until(heartbeats, (found) => found.length > 0)
    yield* until(heartbeats, ([at]) => at !== before[0])
    yield* until(
      () => said.out,
      (out) => out.includes("stood")
    )
    assert.include(said.out, "lease held")
    yield* until(suspects, (rows) => rows.length === 0)
    assert.strictEqual(said.err, "")
  }).pipe(Effect.scoped)
)

it.live("a loop that never goes on ends its process, and what ran alone there is named and given up for good", () =>
  Effect.gen(function* () {
    const { ended, said, suspects } = yield* world({ running: ["a"], json: true, then: { compute: 60_000 } })
    assert.strictEqual(yield* ended, "SIGKILL")
    const { level, message, timestamp } = JSON.parse(said.err)
    assert.match(
      message,
      /^TRP0312 [^·]* · the host · it stood for \d+\.\d s \(\d+\.\d s of CPU\), while this ran: x\.X\.burn a, id a \(consumer x\.X, partition 0\) · /
    )
    assert.strictEqual(level, "FATAL")
    assert.isBelow(Math.abs(Date.parse(timestamp) - Date.now()), 60_000)
    assert.notInclude(said.out, "stood")
    assert.deepStrictEqual(yield* Effect.promise(suspects), [noted("a", true, 2)])
  }).pipe(Effect.scoped)
)

it.live("when several messages ran while the loop stood, all are named and none is sure to be the one", () =>
  Effect.gen(function* () {
    const ids = Array.from({ length: 25 }, (_, i) => `m${String(i).padStart(2, "0")}`)
    const { ended, said, suspects } = yield* world({ running: ids, then: { compute: 60_000 } })
    assert.strictEqual(yield* ended, "SIGKILL")
    assert.include(said.err, "while one of these ran: x.X.burn m00, id m00 (consumer")
    assert.include(said.err, "x.X.burn m19, id m19 (consumer")
    assert.include(said.err, "; and 5 more · ")
    assert.notInclude(said.err, "m20")
    assert.deepStrictEqual(
      yield* Effect.promise(suspects),
      ids.map((id) => noted(id, false, 0))
    )
  }).pipe(Effect.scoped)
)

it.live("a loop that waits for ever without computing ends its process as well, also when no message ran", () =>
  Effect.gen(function* () {
    const { ended, said } = yield* world({ running: [], then: { block: 60_000 } })
    assert.strictEqual(yield* ended, "SIGKILL")
    assert.match(said.err, /^TRP0312 .* · it stood for 6\.\d s \(\d\.\d s of CPU\), no message ran · /)
  }).pipe(Effect.scoped)
)

it.live("last words are noted before a process ends", () =>
  Effect.gen(function* () {
    const { ended, suspects } = yield* world({ running: ["a"], then: "end" })
    assert.strictEqual(yield* ended, "SIGKILL")
    assert.deepStrictEqual(yield* Effect.promise(suspects), [noted("a", true, 0)])
  }).pipe(Effect.scoped)
)

const guarded = (url: string) =>
  Guard.make({
    name: "the host",
    databaseUrl: Redacted.make(url),
    heartbeat: 100,
    lease: 1_000,
    bounds: { noteAfter: 1_000, endAfterCpu: 10_000, endAfter: 30_000 }
  })
const host = (): Ownership.Host => ({ id: crypto.randomUUID(), name: "test", contract: 1, consumers: [], lease: 1_000 })

it.live("a thread that dies is told with its reason, and started again when the host joins again", () =>
  Effect.gen(function* () {
    // postgres.js throws where the thread does not expect it.
    const guard = yield* guarded("postgres://[no-url")
    for (let i = 0; i < 2; i++) {
      const { why } = yield* Effect.flip(guard.join(host()))
      assert.match(why, /^TRP0313 .* · the host · .*Invalid URL/)
      assert.isFalse(guard.lease.held())
    }
  }).pipe(Effect.scoped)
)

it.live("a database that is away is told with its reason", () =>
  Effect.gen(function* () {
    const guard = yield* guarded("postgres://127.0.0.1:1/none")
    assert.match((yield* Effect.flip(guard.join(host()))).why, /ECONNREFUSED/)
  }).pipe(Effect.scoped)
)

it.live("the thread and its connection end with the host", () =>
  Effect.gen(function* () {
    const { consumer, url } = yield* database
    const sql = yield* sqlOf(url)
    const one = { ...host(), consumers: [consumer] }
    const connections = async () =>
      (await sql`select pid from pg_stat_activity where application_name = ${Ownership.applicationName(one.id)}`).length
    yield* Effect.scoped(
      Effect.gen(function* () {
        const guard = yield* guarded(url)
        yield* guard.join(one)
        assert.isTrue(guard.lease.held())
        assert.strictEqual(yield* Effect.promise(connections), 1)
      })
    )
    yield* Effect.promise(connections).pipe(
      Effect.repeat({ until: (n) => n === 0, schedule: Schedule.spaced("20 millis") }),
      Effect.timeout("5 seconds")
    )
  }).pipe(Effect.scoped)
)
