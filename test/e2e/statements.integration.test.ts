import { assert, describe, it } from "@effect/vitest"
import { ask, type ClientError, send } from "@troupe/client"
import { Key } from "@troupe/contract"
import { Postgres } from "@troupe/embedded"
import { DeadLetters } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as World from "./src/world.ts"

const raising = (code: string): string =>
  `do $$ begin raise exception 'it says ${code}' using errcode = '${code}'; end $$`

/** Another key of the partition of `key`. */
const beside = (key: string): string => {
  const of = (one: string) => Key.partition(one, 16)
  for (let i = 0; ; i++) if (of(`beside ${i}`) === of(key)) return `beside ${i}`
}

const deadLetters = (world: World.World, count: number) =>
  World.until(
    () => Effect.runPromise(DeadLetters.list(world.sql)),
    (letters) => letters.length >= count
  )

const health = (host: World.HostProcess, path: "livez" | "readyz") =>
  Effect.promise(async () => {
    const answer = await fetch(`${host.url}/${path}`)
    return { status: answer.status, text: await answer.text() }
  })

describe("a statement of a handler that PostgreSQL does not run, always", () => {
  it.live(
    "fails its message alone, whatever its SQLSTATE says, and other keys of the partition go on",
    () =>
      Effect.gen(function* () {
        const world = yield* World.make
        const host = yield* world.start({ parking: { attempts: 2, first: 100 } })
        const codes = ["40001", "08001", "53200", "58P01", "57P01", "25006"]
        yield* Effect.gen(function* () {
          for (const code of codes) {
            const at = world.contract.Counter.at(`raises ${code}`)
            const near = world.contract.Counter.at(beside(`raises ${code}`))
            yield* send(at.abuse({ statement: raising(code) }))
            yield* send(at.add({ n: 1 }))
            assert.isAtLeast(yield* ask(near.add({ n: 1 }), { timeout: "20 seconds" }), 1)
            // Behind it, in its key.
            assert.strictEqual(yield* ask(at.add({ n: 1 }), { timeout: "50 seconds" }), 2)
          }
        }).pipe(Effect.provide(world.client))
        const letters = yield* deadLetters(world, codes.length)
        assert.deepStrictEqual(
          letters.map((letter) => [letter.code, /it says (.....)/.exec(letter.reason)?.[1] ?? ""]).sort(),
          codes.map((code) => ["TRP0301", code]).sort()
        )
        assert.notMatch(host.output(), /taken anew/)
      }).pipe(Effect.scoped),
    120_000
  )

  for (const { what, statement, times } of [
    { what: "its connection", statement: "select pg_terminate_backend(pg_backend_pid())", times: 3 },
    {
      what: "every connection of its host, as a crash of PostgreSQL does,",
      statement: `select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and application_name like 'troupe:%'`,
      times: 4
    }
  ]) {
    it.live(
      `is given up when it ends ${what} again and again, and other keys of the partition go on`,
      () =>
        Effect.gen(function* () {
          const world = yield* World.make
          const host = yield* world.start()
          yield* Effect.gen(function* () {
            const at = world.contract.Counter.at("ends")
            const { reason } = (yield* Effect.flip(
              ask(at.abuse({ statement }), { timeout: "50 seconds" })
            )) as ClientError
            assert.deepInclude(reason, { _tag: "Rejected", code: "TRP0302" })
            assert.strictEqual(yield* ask(at.add({ n: 1 }), { timeout: "20 seconds" }), 1)
            const near = world.contract.Counter.at(beside("ends"))
            assert.strictEqual(yield* ask(near.record({ n: 1, then: "reply" }), { timeout: "20 seconds" }), 1)
          }).pipe(Effect.provide(world.client))
          const [letter] = yield* deadLetters(world, 1)
          assert.match(letter!.reason, /its connection to PostgreSQL, ended while it alone ran: 2 strikes/)
          const told = host.output().match(/TRP0330.*Counter\.abuse ends, id /g)?.length ?? 0
          assert.isAtLeast(told, 3)
          assert.isAtMost(told, times)
          yield* World.until(
            () => world.sql`select from troupe.suspect`,
            (rows) => rows.length === 0
          )
          assert.strictEqual((yield* health(host, "livez")).status, 200)
        }).pipe(Effect.scoped),
      120_000
    )
  }

  it.live(
    "blames nobody when PostgreSQL itself ends in the middle of it",
    () =>
      Effect.gen(function* () {
        const postgres = yield* Postgres.start()
        const world = yield* World.on({ natsUrl: process.env["NATS_URL"]!, adminUrl: postgres.url })
        const host = yield* world.start()
        yield* Effect.gen(function* () {
          const record = world.contract.Counter.at("k").record({ n: 1, then: "reply", ms: 2_000 })
          const answer = yield* Effect.forkChild(ask(record, { timeout: "50 seconds" }))
          yield* World.until(
            () =>
              world.sql`select from pg_stat_activity where state = 'idle in transaction' and query like '%app.recorded%'`,
            (rows) => rows.length > 0
          )
          yield* postgres.kill("SIGKILL")
          yield* postgres.restart
          assert.strictEqual(yield* Fiber.join(answer), 1)
        }).pipe(Effect.provide(world.client))
        assert.match(host.output(), /TRP0330.*Counter\.record k, id /)
        assert.notMatch(host.output(), /TRP0329/)
        yield* World.until(
          () => world.sql`select from troupe.suspect`,
          (rows) => rows.length === 0
        )
      }).pipe(Effect.scoped),
    120_000
  )
})

describe("a right that PostgreSQL takes away while a host runs", () => {
  for (const { how, take, give } of [
    { how: "messages of pure handlers", take: "revoke insert on troupe.outbox", give: "grant insert on troupe.outbox" },
    { how: "messages of handlers with Db", take: "revoke insert on troupe.inbox", give: "grant insert on troupe.inbox" }
  ]) {
    it.live(
      `stops the partition and is told, and no message is given up: ${how}`,
      () =>
        Effect.gen(function* () {
          const world = yield* World.make
          const role = world.name.replaceAll("-", "_")
          yield* Effect.acquireRelease(
            Effect.promise(() =>
              world.sql.unsafe(`create role ${role} login password 'x';
                grant usage, create on schema troupe, app to ${role};
                grant all on all tables in schema troupe, app to ${role};
                grant all on all sequences in schema troupe, app to ${role};
                grant pg_signal_backend, pg_read_all_stats to ${role}`)
            ),
            () => Effect.promise(() => world.sql.unsafe(`drop owned by ${role}; drop role ${role}`))
          )
          const databaseUrl = Object.assign(new URL(world.databaseUrl), { username: role, password: "x" }).href
          const host = yield* world.start({ databaseUrl })
          const ready = (of: number) =>
            World.until(
              () => Effect.runPromise(health(host, "readyz")),
              ({ status }) => status === of
            )
          yield* Effect.gen(function* () {
            const { add, record } = world.contract.Counter.at("k")
            assert.strictEqual(yield* ask(add({ n: 1 })), 1)
            yield* Effect.promise(() => world.sql.unsafe(`${take} from ${role}`))
            const message = how.endsWith("Db") ? record({ n: 1, then: "reply" }) : add({ n: 1 })
            const answer = yield* Effect.forkChild(ask(message, { timeout: "50 seconds" }))
            assert.match((yield* ready(503)).text, /TRP0523.*permission denied.*42501/)
            assert.strictEqual((yield* health(host, "livez")).status, 200)
            yield* Effect.promise(() => world.sql.unsafe(`${give} to ${role}`))
            assert.strictEqual(yield* Fiber.join(answer), 2)
            yield* ready(200)
          }).pipe(Effect.provide(world.client))
          assert.match(host.output(), /TRP0523/)
          assert.deepStrictEqual(yield* DeadLetters.list(world.sql), [])
        }).pipe(Effect.scoped),
      120_000
    )
  }
})
