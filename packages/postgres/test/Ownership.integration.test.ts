import { assert, describe, it } from "@effect/vitest"
import { Migrations } from "@troupe/postgres"
import { Ownership } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import postgres from "postgres"

let databases = 0
/** A migrated database of its own with a consumer of 4 partitions, and connections to it. */
const world = Effect.gen(function* () {
  const admin = process.env["DATABASE_URL"]!
  const name = `ownership_${process.pid}_${++databases}`
  const open = (url: string, host?: string) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        postgres(url, {
          max: 1,
          onnotice: () => {},
          connection: { application_name: host === undefined ? "test" : Ownership.applicationName(host) }
        })
      ),
      (sql) => Effect.promise(() => sql.end({ timeout: 5 }))
    )
  const server = yield* open(admin)
  yield* Effect.acquireRelease(
    Effect.promise(() => server.unsafe(`create database ${name}`)),
    () => Effect.promise(() => server.unsafe(`drop database ${name} with (force)`))
  )
  const url = Object.assign(new URL(admin), { pathname: `/${name}` }).href
  yield* Migrations.run({ url: Redacted.make(url) })
  const sql = yield* open(url)
  const consumer = (yield* Effect.promise(() => Ownership.consumer(sql, "x.X", 4)))!
  /** A host that has joined, with its control connection. */
  const host = (more: Partial<Ownership.Host> = {}) =>
    Effect.gen(function* () {
      const id = crypto.randomUUID()
      const host: Ownership.Host = { id, name: "test", contract: 1, consumers: [consumer], lease: 60_000, ...more }
      const control = yield* open(url, host.id)
      yield* Effect.promise(() => Ownership.join(control, host))
      return { ...host, control }
    })
  const take = async (host: Pick<Ownership.Host, "id" | "contract">, ...partitions: ReadonlyArray<number>) =>
    (await Ownership.take(sql, consumer, partitions, host)).map(({ fence }) => fence.p)
  return { sql, consumer, host, take }
})

const living = async (sql: postgres.Sql) => (await sql`select id from troupe.living_v1()`).map((row) => row["id"])

describe("a partition", () => {
  it.live("is taken when it is free or one's own, never from a living host", () =>
    Effect.gen(function* () {
      const { consumer, host, sql, take } = yield* world
      const [a, b] = [yield* host(), yield* host()]
      yield* Effect.promise(async () => {
        assert.deepStrictEqual(await take(a, 0, 1), [0, 1])
        assert.deepStrictEqual(await take(b, 0, 1, 2), [2])
        assert.deepStrictEqual(await take(a, 0), [0], "anew")
        const view = await Ownership.look(b.control, b.id, [consumer])
        assert.sameMembers(
          view.hosts.map(({ id }) => id),
          [a.id, b.id]
        )
        assert.deepStrictEqual(
          view.partitions.map(({ host, p, token }) => [p, host, token === null]),
          [
            [0, a.id, true],
            [1, a.id, true],
            [2, b.id, false],
            [3, null, true]
          ]
        )
        await Ownership.release(sql, [{ consumer, p: 0, token: crypto.randomUUID() }])
        assert.deepStrictEqual(await take(b, 0), [], "given back under a token that is not the owner's")
        const mine = await Ownership.look(a.control, a.id, [consumer])
        await Ownership.release(sql, mine.partitions.slice(0, 1))
        assert.deepStrictEqual(await take(b, 0, 1), [0])
      })
    }).pipe(Effect.scoped)
  )

  it.live("of a host that let go of its lock, or whose heartbeat is older than its lease, may be taken", () =>
    Effect.gen(function* () {
      const { host, sql, take } = yield* world
      const [a, b, c] = [yield* host(), yield* host(), yield* host()]
      yield* Effect.promise(async () => {
        assert.deepStrictEqual(await take(a, 0), [0])
        assert.deepStrictEqual(await take(b, 1), [1])
        assert.deepStrictEqual(await take(c, 0, 1), [])
        await sql`update troupe.host set heartbeat = clock_timestamp() - lease where id = ${a.id}`
        assert.deepStrictEqual(await take(c, 0, 1), [0])
        await b.control.end()
        while ((await living(sql)).includes(b.id));
        assert.deepStrictEqual(await take(c, 1), [1])
        assert.deepStrictEqual(await living(sql), [c.id])
        assert.isTrue(await Ownership.beat(a.control, a.id, true))
        assert.sameMembers(await living(sql), [a.id, c.id])
      })
    }).pipe(Effect.scoped)
  )

  it.live("whose row is locked is neither taken nor given back, and holds up no other", () =>
    Effect.gen(function* () {
      const { consumer, host, sql, take } = yield* world
      const [a, b] = [yield* host(), yield* host()]
      yield* Effect.promise(async () => {
        await a.control.unsafe(
          `begin; select 1 from troupe.partition where consumer = ${consumer} and p = 1 for update`
        )
        assert.deepStrictEqual(await take(b, 0, 1, 2), [0, 2])
        await a.control.unsafe("commit")
        assert.deepStrictEqual(await take(b, 1), [1])
        await a.control.unsafe(
          `begin; select 1 from troupe.partition where consumer = ${consumer} and p = 2 for update`
        )
        await Ownership.release(sql, (await Ownership.look(b.control, b.id, [consumer])).partitions)
        assert.deepStrictEqual(await take(a, 0, 1), [0, 1])
        await a.control.unsafe("commit")
        assert.deepStrictEqual(await take(a, 2), [], "not given back")
      })
    }).pipe(Effect.scoped)
  )

  it.live("that newer code had is not taken by older code", () =>
    Effect.gen(function* () {
      const { consumer, host, sql, take } = yield* world
      const [old, newer] = [yield* host(), yield* host({ contract: 2 })]
      yield* Effect.promise(async () => {
        assert.deepStrictEqual(await take(old, 0), [0])
        assert.deepStrictEqual(await take(newer, 1), [1])
        for (const one of [old, newer]) {
          await Ownership.release(sql, (await Ownership.look(one.control, one.id, [consumer])).partitions)
        }
        assert.deepStrictEqual(await take(old, 0, 1), [0])
        await sql`update troupe.host set heartbeat = 'epoch' where id = ${old.id}`
        assert.deepStrictEqual(await take(newer, 0, 1), [0, 1])
      })
    }).pipe(Effect.scoped)
  )
})

describe("a host", () => {
  it.live("that is dead loses its connections, also one inside a transaction, and nobody else does", () =>
    Effect.gen(function* () {
      const { host, sql } = yield* world
      const [dead, other] = [yield* host(), yield* host()]
      yield* Effect.promise(async () => {
        await dead.control.unsafe("begin; select 1 from troupe.partition for update")
        while ((await Ownership.terminate(sql, [dead.id])) > 0);
        await sql`select 1 from troupe.partition for update nowait`
        assert.deepStrictEqual(await living(sql), [other.id])
      })
    }).pipe(Effect.scoped)
  )

  it.live("that died long ago is forgotten when another one joins, and knows it when it comes back", () =>
    Effect.gen(function* () {
      const { host, sql } = yield* world
      const dead = yield* host()
      yield* Effect.promise(() => sql`update troupe.host set heartbeat = clock_timestamp() - interval '61 minutes'`)
      const other = yield* host()
      yield* Effect.promise(async () => {
        assert.deepStrictEqual([...(await sql`select id from troupe.host`)], [{ id: other.id }])
        assert.isFalse(await Ownership.beat(dead.control, dead.id, true))
      })
    }).pipe(Effect.scoped)
  )

  it.live("that joins anew need not wait until its connection before is gone", () =>
    Effect.gen(function* () {
      const { host, sql } = yield* world
      const before = yield* host()
      const after = yield* host({ id: before.id })
      yield* Effect.promise(async () => {
        await before.control.end()
        assert.deepStrictEqual(await living(sql), [after.id])
      })
    }).pipe(Effect.scoped)
  )
})
