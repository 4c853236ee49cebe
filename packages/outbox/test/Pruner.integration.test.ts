import { assert, it } from "@effect/vitest"
import { Pruner } from "@troupe/outbox"
import { Migrations, Sql } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Redacted from "effect/Redacted"
import postgres from "postgres"

let databases = 0

const migrated = Effect.gen(function* () {
  const admin = process.env["DATABASE_URL"]!
  const name = `pruner_${process.pid}_${++databases}`
  const server = yield* Effect.acquireRelease(
    Effect.sync(() => postgres(admin, { max: 1, onnotice: () => {} })),
    (server) => Effect.promise(() => server.end())
  )
  yield* Effect.acquireRelease(
    Effect.promise(() => server.unsafe(`create database ${name}`)),
    () => Effect.promise(() => server.unsafe(`drop database ${name} with (force)`))
  )
  const url = Redacted.make(Object.assign(new URL(admin), { pathname: `/${name}` }).href)
  yield* Migrations.run({ url })
  return url
})

it.effect("empties the slots whose time is over, and none that still holds what is not relayed", () =>
  Effect.gen(function* () {
    const url = yield* migrated
    yield* Effect.gen(function* () {
      const sql = yield* Sql
      const run = (statement: string) => Effect.promise(async () => await sql.unsafe(statement))
      const outbox = (ahead: number, pos: number) =>
        run(`insert into troupe.outbox (slot, consumer, p, pos, stream, id, subject, headers, body)
          values ((troupe.outbox_slot(now()) + ${ahead}) % 12, 1, 0, ${pos}, 'S', gen_random_uuid(), 's', '{}', '')`)
      yield* outbox(0, 1)
      yield* outbox(1, 2)
      yield* outbox(2, 3)
      yield* outbox(3, 9)
      const inbox = (ahead: number) =>
        run(`insert into troupe.inbox (slot, consumer, p, id)
          values ((troupe.inbox_slot(now()) + ${ahead}) % 16, 1, 0, gen_random_uuid())`)
      yield* inbox(0)
      yield* inbox(1)
      yield* inbox(2)

      const prune = Pruner.make("1 hour")
      assert.strictEqual(
        (yield* prune).length,
        1,
        "the oldest of the inbox; nothing of the outbox is known to be relayed"
      )
      assert.strictEqual((yield* run("select from troupe.inbox")).length, 2)
      yield* run(`insert into troupe.watermark values (1, 0, 'S', 5, 5, '')`)
      assert.deepStrictEqual(yield* prune, [], "relayed, but only just")
      yield* TestClock.adjust("59 minutes")
      assert.deepStrictEqual(yield* prune, [])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* prune).length, 2)
      const left = yield* run("select pos from troupe.outbox order by pos")
      assert.deepStrictEqual(
        left.map((row) => Number(row["pos"])),
        [1, 9],
        "the current slot, and what is not relayed"
      )
      yield* run(`update troupe.watermark set pos = 9`)
      assert.deepStrictEqual(yield* prune, [], "its hour begins when it was relayed, however old it is")

      yield* run(`insert into troupe.wish (consumer, p, kind, dead, by, at, done)
        select 1, 0, 'discard', n, 'test', now() - interval '30 days', done from unnest(
          array[null, now() - interval '6 days', now() - interval '8 days']) with ordinality as w(done, n)`)
      yield* prune
      const wished = yield* run("select dead from troupe.wish order by dead")
      assert.deepStrictEqual(
        wished.map((row) => Number(row["dead"])),
        [1, 2],
        "one that is open, and one that was done a few days ago"
      )
    }).pipe(Effect.provide(Sql.layer({ url })))
  }).pipe(Effect.scoped)
)

it.effect("waits for no reader, and looks again when it has the lock: another host may have been first", () =>
  Effect.gen(function* () {
    const url = yield* migrated
    yield* Effect.gen(function* () {
      const sql = yield* Sql
      const run = (statement: string) => Effect.promise(async () => await sql.unsafe(statement))
      const row = (
        pos: number
      ) => `insert into troupe.outbox (slot, consumer, p, pos, stream, id, subject, headers, body)
        values ((troupe.outbox_slot(now()) + 2) % 12, 1, 0, ${pos}, 'S', gen_random_uuid(), 's', '{}', '')`
      yield* run(row(1))
      yield* run(`insert into troupe.watermark values (1, 0, 'S', 1, 1, '')`)
      const other = yield* Effect.acquireRelease(
        Effect.sync(() => postgres(Redacted.value(url), { max: 1 })),
        (other) => Effect.promise(() => other.end())
      )
      /** A transaction of somebody else's that has run a statement, and ends when it is told to. */
      const transaction = (statement: string) =>
        Effect.promise(() => {
          const { promise: end, resolve } = Promise.withResolvers<void>()
          return new Promise<Effect.Effect<void>>((begun) => {
            const done = other.begin(async (tx) => {
              await tx.unsafe(statement)
              begun(
                Effect.promise(() => {
                  resolve()
                  return done as Promise<unknown>
                }) as Effect.Effect<void>
              )
              await end
            })
          })
        })

      const prune = Pruner.make("1 hour")
      yield* prune
      yield* TestClock.adjust("2 hours")

      const endReading = yield* transaction("select from troupe.outbox")
      assert.deepStrictEqual(yield* prune, [], "a reader has the table")
      yield* endReading

      const endWriting = yield* transaction(row(2))
      const pruning = yield* Effect.forkChild(prune)
      const waits = "select from pg_locks where not granted and mode = 'AccessExclusiveLock'"
      while ((yield* run(waits)).length === 0 && pruning.pollUnsafe() === undefined) yield* Effect.yieldNow
      yield* endWriting
      assert.deepStrictEqual(yield* Fiber.join(pruning), [], "what was committed meanwhile is not relayed")
      assert.strictEqual((yield* run("select from troupe.outbox")).length, 2)

      yield* run("update troupe.watermark set pos = 2")
      yield* prune
      const another = Pruner.make("1 hour")
      yield* another
      yield* TestClock.adjust("2 hours")
      yield* Effect.all([prune, another], { concurrency: 2 })
      assert.strictEqual((yield* run("select from troupe.outbox")).length, 0)
    }).pipe(Effect.provide(Sql.layer({ url })))
  }).pipe(Effect.scoped)
)
