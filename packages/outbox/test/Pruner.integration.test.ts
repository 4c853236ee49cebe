import { assert, it } from "@effect/vitest"
import { Pruner } from "@troupe/outbox"
import { Migrations, Sql } from "@troupe/postgres"
import * as Effect from "effect/Effect"
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

it.live("empties the slots whose time is over, and none that still holds what is not relayed", () =>
  Effect.gen(function* () {
    const url = yield* migrated
    yield* Effect.gen(function* () {
      const sql = yield* Sql
      const run = (statement: string) => Effect.promise(async () => await sql.unsafe(statement))
      const outbox = (slot: string, pos: number, age: string) =>
        run(`insert into troupe.outbox (slot, consumer, p, pos, stream, id, subject, headers, body, at)
          values ((troupe.outbox_slot(now()) + ${slot}) % 12, 1, 0, ${pos}, 'S', gen_random_uuid(), 's', '{}', '', now() - interval '${age}')`)
      yield* outbox("0", 9, "1 minute")
      yield* outbox("1", 1, "110 minutes")
      yield* outbox("2", 2, "100 minutes")
      yield* outbox("3", 7, "90 minutes")
      yield* outbox("4", 3, "50 minutes")
      const inbox = (slot: string) =>
        run(
          `insert into troupe.inbox (slot, consumer, p, id) values ((troupe.inbox_slot(now()) + ${slot}) % 16, 1, 0, gen_random_uuid())`
        )
      yield* inbox("0")
      yield* inbox("1")
      yield* inbox("2")

      assert.strictEqual(
        (yield* Pruner.prune).length,
        1,
        "the oldest of the inbox; nothing of the outbox is known to be relayed"
      )
      yield* run(`insert into troupe.watermark values (1, 0, 'S', 5, 5, '')`)
      assert.strictEqual((yield* Pruner.prune).length, 2)
      const left = yield* run("select pos from troupe.outbox order by pos")
      assert.deepStrictEqual(
        left.map((row) => Number(row["pos"])),
        [3, 7, 9],
        "too young, not relayed, current"
      )
      assert.strictEqual((yield* run("select from troupe.inbox")).length, 2)
      assert.deepStrictEqual(yield* Pruner.prune, [])
    }).pipe(Effect.provide(Sql.layer({ url })))
  }).pipe(Effect.scoped)
)
