import { assert, it } from "@effect/vitest"
import { Partition } from "@troupe/actor/engine"
import { Migrations, Sql } from "@troupe/postgres"
import { Ownership } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Membership from "../src/Membership.ts"
import * as Guard from "../src/guard/Guard.ts"

const admin = process.env["DATABASE_URL"] ?? "postgres://DATABASE_URL-is-not-set"
const sqlOf = (url: string) => Effect.map(Layer.build(Sql.layer({ url: Redacted.make(url), max: 2 })), Context.get(Sql))

const guardOf = (url: string) =>
  Guard.make({
    name: "test",
    databaseUrl: Redacted.make(url),
    heartbeat: 1_000,
    lease: 5_000,
    bounds: { noteAfter: 1_000, endAfterCpu: 10_000, endAfter: 30_000 }
  })

/** A migrated database of its own, and a consumer of one partition in it. */
const world = Effect.gen(function* () {
  const server = yield* sqlOf(admin)
  const name = `membership_${process.pid}`
  yield* Effect.acquireRelease(
    Effect.promise(() => server.unsafe(`create database ${name}`)),
    () => Effect.promise(() => server.unsafe(`drop database ${name} with (force)`))
  )
  const url = Object.assign(new URL(admin), { pathname: `/${name}` }).href
  yield* Migrations.run({ url: Redacted.make(url) })
  const sql = yield* sqlOf(url)
  const consumer = yield* Effect.promise(() => Ownership.consumer(sql, "x.X", 1))
  return { url, sql, consumer: consumer! }
})

it.live("a partition whose session was interrupted before it had begun, since the lease was over, is taken anew", () =>
  Effect.gen(function* () {
    const { consumer, sql, url } = yield* world
    const guard = yield* guardOf(url)
    const began = yield* Deferred.make<string>()
    const started: Array<string> = []
    const fault = { missed: false }
    const shared: Membership.Shared<never> = {
      id: consumer,
      partitions: [Partition.progress({ id: consumer, name: "x.X", sources: [] }, 0)],
      fit: true,
      isSetBack: () => Effect.succeed(false),
      run: (_, { fence: { token } }) => {
        if (started.push(token) > 1) return Effect.andThen(Deferred.succeed(began, token), Effect.never)
        guard.lease.end()
        // Somebody told of a change meanwhile: nothing lies between this and the end of all sessions.
        joined.wake()
        return Effect.andThen(
          Effect.sync(() => (fault.missed = true)),
          Effect.never
        )
      }
    }
    const joined: Membership.Membership = yield* Membership.make({
      host: { id: crypto.randomUUID(), name: "test", contract: 1, consumers: [consumer], lease: 5_000 },
      guard,
      databaseUrl: Redacted.make(url),
      shared: [shared],
      onEnqueued: () => {},
      heartbeat: 1_000,
      connected: () => true
    }).pipe(Effect.provideService(Sql, sql))
    const token = yield* Effect.timeout(Deferred.await(began), "10 seconds")
    assert.isFalse(fault.missed, "the fault fired: the first session did not begin")
    assert.lengthOf(started, 2)
    assert.notStrictEqual(token, started[0])
  }).pipe(Effect.scoped)
)

it.live("what one partition shows of a database that was set back, all that are taken with it know", () =>
  Effect.gen(function* () {
    const { consumer, sql, url } = yield* world
    const other = (yield* Effect.promise(() => Ownership.consumer(sql, "x.Other", 2)))!
    const told = new Map<string, boolean>()
    const all = yield* Deferred.make<void>()
    const of = (id: number, count: number, shows: (p: number) => Effect.Effect<boolean>): Membership.Shared<never> => ({
      id,
      partitions: Array.from({ length: count }, (_, p) =>
        Partition.progress({ id, name: id === other ? "x.Other" : "x.X", sources: [] }, p)
      ),
      fit: true,
      isSetBack: ({ p }) => shows(p),
      run: ({ consumer: { name }, p }, _, setBack) =>
        Effect.andThen(
          Effect.suspend(() =>
            told.set(`${name} ${p}`, setBack).size < 3 ? Effect.void : Effect.asVoid(Deferred.succeed(all, undefined))
          ),
          Effect.never
        )
    })
    yield* Membership.make({
      host: { id: crypto.randomUUID(), name: "test", contract: 1, consumers: [consumer, other], lease: 5_000 },
      guard: yield* guardOf(url),
      connected: () => true,
      heartbeat: 1_000,
      databaseUrl: Redacted.make(url),
      // One that cannot tell holds up nothing.
      shared: [of(consumer, 1, () => Effect.never), of(other, 2, (p) => Effect.succeed(p === 1))],
      onEnqueued: () => {}
    }).pipe(Effect.provideService(Sql, sql))
    yield* Effect.timeout(Deferred.await(all), "10 seconds")
    assert.deepStrictEqual([...told].sort(), [
      ["x.Other 0", true],
      ["x.Other 1", true],
      ["x.X 0", true]
    ])
  }).pipe(Effect.scoped)
)

it.live(
  "a partition whose stream does not answer is asked again before its session begins, while the broker is away",
  () =>
    Effect.gen(function* () {
      const { consumer, sql, url } = yield* world
      const told = yield* Deferred.make<boolean>()
      const broker = { asked: 0, away: 3 }
      const shared: Membership.Shared<never> = {
        id: consumer,
        partitions: [Partition.progress({ id: consumer, name: "x.X", sources: [] }, 0)],
        fit: true,
        isSetBack: () =>
          Effect.suspend(() => (++broker.asked > broker.away ? Effect.succeed(true) : Effect.fail("no answer"))),
        run: (_, __, setBack) => Effect.andThen(Deferred.succeed(told, setBack), Effect.never)
      }
      yield* Membership.make({
        host: { id: crypto.randomUUID(), name: "test", contract: 1, consumers: [consumer], lease: 5_000 },
        guard: yield* guardOf(url),
        connected: () => broker.asked > broker.away,
        heartbeat: 1_000,
        databaseUrl: Redacted.make(url),
        shared: [shared],
        onEnqueued: () => {}
      }).pipe(Effect.provideService(Sql, sql))
      assert.isTrue(yield* Effect.timeout(Deferred.await(told), "20 seconds"), "it was set back, and its session knows")
      assert.strictEqual(broker.asked, broker.away + 1)
    }).pipe(Effect.scoped)
)
