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
    const guard = yield* Guard.make({
      name: "test",
      databaseUrl: Redacted.make(url),
      heartbeat: 1_000,
      lease: 5_000,
      bounds: { noteAfter: 1_000, endAfterCpu: 10_000, endAfter: 30_000 }
    })
    const began = yield* Deferred.make<string>()
    const started: Array<string> = []
    const fault = { missed: false }
    const shared: Membership.Shared<never> = {
      id: consumer,
      partitions: [Partition.progress({ id: consumer, name: "x.X", sources: [] }, 0)],
      fit: true,
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
