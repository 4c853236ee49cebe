import { assert, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import { Outbox } from "@troupe/outbox"
import { Db } from "@troupe/postgres"
import { drizzle } from "drizzle-orm/postgres-js"
import { sql as statement } from "drizzle-orm"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import postgres from "postgres"
import * as World from "./src/world.ts"

const recorded = (world: World.World) =>
  Effect.promise(() =>
    world.sql`select key, n from app.recorded order by id`.then((rows) => rows.map(({ key, n }) => [key, n]))
  )

it.live(
  "what a handler writes by Db stands or falls with its turn",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      yield* world.start({ parking: { attempts: 1 } })
      const counter = world.contract.Counter.at("k")
      const record = (n: number, then: "reply" | "refuse" | "throw" | "defer" | "shout") =>
        ask(counter.record({ n, then }))
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* record(1, "reply"), 1)
        assert.deepStrictEqual(yield* recorded(world), [["k", 1]])
        assert.strictEqual((yield* Effect.flip(record(2, "refuse")))._tag, "TooMuch")
        assert.strictEqual((yield* Effect.flip(record(3, "throw")))._tag, "ClientError")
        assert.strictEqual((yield* Effect.flip(record(3, "shout")))._tag, "ClientError", "what cannot be sent")
        assert.deepStrictEqual(yield* recorded(world), [["k", 1]], "refused and failed turns leave no row")
        assert.strictEqual(yield* record(4, "reply"), 5)

        // A constraint that speaks at the commit: the batch is halved until the culprit stands alone.
        assert.strictEqual(yield* record(7, "defer"), 12)
        const answers = yield* Effect.forEach(
          [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
          (n) =>
            Effect.result(
              ask(world.contract.Counter.at(`side ${n}`).record({ n, then: n === 5 ? "refuse" : "reply" }))
            ),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(answers.filter(({ _tag }) => _tag === "Success").length, 9)
        const mixed = yield* Effect.forEach(
          [1, 7, 1, 1],
          (n) => Effect.result(record(n, n === 7 ? "defer" : "reply")),
          { concurrency: "unbounded" }
        )
        const culprit = mixed[1]!
        assert.deepInclude(
          culprit._tag === "Failure" && culprit.failure._tag === "ClientError" && culprit.failure.reason,
          {
            _tag: "Rejected",
            code: "TRP0306"
          }
        )
        assert.sameMembers(
          mixed.flatMap((one) => (one._tag === "Success" ? [one.success] : [])),
          [13, 14, 15]
        )
        assert.strictEqual((yield* recorded(world)).length, 15)
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "a command enqueued in a transaction is sent exactly if it commits, in the order of commits",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      yield* world.start()
      const add = (key: string, n: number) => world.contract.Counter.at(key).add({ n })
      const pool = yield* Effect.acquireRelease(
        Effect.sync(() => postgres(world.databaseUrl, { max: 8, onnotice: () => {} })),
        (pool) => Effect.promise(() => pool.end())
      )
      const plain = drizzle(pool)
      yield* Effect.gen(function* () {
        const db = yield* Db
        yield* db.transaction(
          Effect.gen(function* () {
            yield* db.query((tx) => tx.execute(statement`insert into app.recorded (key, n) values ('with', 1)`))
            yield* Outbox.enqueue(add("with", 1))
          })
        )
        yield* db
          .transaction(Effect.andThen(Outbox.enqueue(add("with", 100)), Effect.fail("rolled back")))
          .pipe(Effect.flip)
        const bad = yield* Effect.flip(db.transaction(Outbox.enqueue(add("", 1))))
        assert.strictEqual(bad._tag, "EnqueueError")

        // Many transactions on few keys at once: each key's commands must arrive in the order in which they committed.
        yield* Effect.promise(() =>
          Promise.all(
            Array.from({ length: 60 }, (_, i) =>
              plain.transaction(async (tx) => {
                await Outbox.insert(tx, add(`plain ${i % 3}`, i + 1))
                await tx.execute(statement`insert into app.recorded (key, n) values (${`plain ${i % 3}`}, ${i + 1})`)
              })
            )
          )
        )
        const count = () => world.sql`select count(*)::int as n from app.log`.then(([row]) => row!["n"] as number)
        yield* World.until(count, (n) => n >= 61)
        yield* World.settled(world)
        assert.strictEqual(yield* Effect.promise(count), 61)
        const rows = yield* Effect.promise(() => world.sql`select key, total from app.log order by id`)
        const committed = yield* recorded(world)
        for (const key of ["plain 0", "plain 1", "plain 2"]) {
          let total = 0
          const expected = committed.filter(([k]) => k === key).map(([, n]) => (total += n))
          assert.deepStrictEqual(
            rows.filter((row) => row["key"] === key).map((row) => row["total"]),
            expected
          )
        }
        assert.strictEqual(yield* ask(add("with", 0)), 1, "the rolled back one was never sent")
      }).pipe(Effect.provide([world.client, Db.layer({ url: Redacted.make(world.databaseUrl) })]))
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "without atomic batches the relay publishes one after another, in order",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      yield* world.start({ capabilities: { atomicBatch: false } })
      const keys = Array.from({ length: 200 }, (_, i) => `to ${i}`)
      yield* Effect.provide(ask(world.contract.Counter.at("from").spread({ to: keys })), world.client)
      const count = () => world.sql`select count(*)::int as n from app.log`.then(([row]) => row!["n"] as number)
      yield* World.until(count, (n) => n >= 200)
      yield* World.settled(world)
      assert.strictEqual(yield* Effect.promise(count), 200)
      const { state } = yield* Effect.promise(() => world.jsm.streams.info(`CMD_${world.name}`))
      assert.strictEqual(state.messages, 201)
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "SIGTERM finishes what is at hand, answers it, and ends with code 0",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const host = yield* world.start()
      yield* Effect.gen(function* () {
        const asking = yield* Effect.forkScoped(
          Effect.forEach(
            Array.from({ length: 400 }, (_, i) => i),
            (i) => ask(world.contract.Counter.at(`k${i % 20}`).add({ n: 1 }), { timeout: "50 seconds" }),
            { concurrency: 40 }
          )
        )
        yield* World.until(
          () => world.sql`select count(*)::int as n from troupe.inbox`.then(([row]) => row!["n"] as number),
          (n) => n >= 50
        )
        host.kill("SIGTERM")
        const end = yield* host.ended
        assert.deepStrictEqual(end, { code: 0, signal: null })
        assert.notInclude(host.output(), "took too long")
        yield* world.start()
        yield* Fiber.join(asking)
        yield* World.settled(world)
        const [row] = yield* Effect.promise(() => world.sql`select count(*)::int as n from app.log`)
        assert.strictEqual(row!["n"], 400)
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  60_000
)
