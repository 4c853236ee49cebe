import { assert, it } from "@effect/vitest"
import { Pruner } from "@troupe/outbox"
import { Migrations, Sql } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as Redacted from "effect/Redacted"
import postgres from "postgres"

const migrated = Effect.gen(function* () {
  const admin = process.env["DATABASE_URL"]!
  const name = `pruner_${process.pid}`
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
    }).pipe(Effect.provide(Sql.layer({ url })))
  }).pipe(Effect.scoped)
)
