import { assert, it } from "@effect/vitest"
import { Db, Transaction } from "@troupe/postgres"
import { sql } from "drizzle-orm"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Redacted from "effect/Redacted"
import postgres from "postgres"

let databases = 0
/** A database with one table, a `Db` on it, and a way in from outside. */
const world = Effect.gen(function* () {
  const admin = process.env["DATABASE_URL"]!
  const name = `transactions_${process.pid}_${++databases}`
  const open = (url: string) =>
    Effect.acquireRelease(
      Effect.sync(() => postgres(url, { max: 2, onnotice: () => {} })),
      (client) => Effect.promise(() => client.end())
    )
  const server = yield* open(admin)
  yield* Effect.acquireRelease(
    Effect.promise(() => server.unsafe(`create database ${name}`)),
    () => Effect.promise(() => server.unsafe(`drop database ${name} with (force)`))
  )
  const url = Object.assign(new URL(admin), { pathname: `/${name}` }).href
  const outside = yield* open(url)
  yield* Effect.promise(() => outside`create table t (n int unique, at timestamptz default now())`)
  const rows = Effect.promise(() =>
    outside`select n from t order by n`.then((all) => all.map((row) => row["n"] as number))
  )
  /** Ends every backend of `Db`, as a failover does. */
  const kill = Effect.promise(
    () => outside`select count(pg_terminate_backend(pid))::int as n from pg_stat_activity
      where datname = ${name} and application_name = 'db under test'`
  ).pipe(Effect.map(([row]) => row!["n"] as number))
  return { rows, kill, layer: Db.layer({ url: Redacted.make(url), max: 2, applicationName: "db under test" }), url }
})

const put = (n: number) =>
  Effect.flatMap(Db, (db) => db.query((tx) => tx.execute(sql`insert into t (n) values (${n})`)))
const within = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.flatMap(Db, (db) => db.transaction(self))

it.live("commits, rolls back, and undoes the inner one alone", () =>
  Effect.gen(function* () {
    const { layer, rows } = yield* world
    yield* Effect.gen(function* () {
      yield* within(put(1))
      assert.strictEqual(yield* Effect.flip(within(Effect.andThen(put(2), Effect.fail("no")))), "no")
      yield* within(Effect.andThen(put(3), Effect.flip(within(Effect.andThen(put(4), Effect.fail("no"))))))
      assert.deepStrictEqual(yield* rows, [1, 3])
      const interrupted = yield* Effect.forkChild(within(Effect.andThen(put(5), Effect.never)))
      yield* Fiber.interrupt(interrupted)
      assert.deepStrictEqual(yield* rows, [1, 3])
    }).pipe(Effect.provide(layer))
  }).pipe(Effect.scoped)
)

it.live("a failed statement that nobody minds fails its transaction, or its savepoint alone", () =>
  Effect.gen(function* () {
    const { layer, rows } = yield* world
    yield* Effect.gen(function* () {
      yield* within(put(1))
      const outer = yield* Effect.flip(within(Effect.andThen(Effect.ignore(put(1)), Effect.void)))
      assert.strictEqual(outer._tag === "DbError" && outer.code, "23505")
      const inner = within(
        Effect.andThen(put(2), Effect.flip(within(Effect.andThen(Effect.ignore(put(1)), Effect.void))))
      )
      assert.strictEqual((yield* inner).code, "23505")
      assert.deepStrictEqual(yield* rows, [1, 2])
    }).pipe(Effect.provide(layer))
  }).pipe(Effect.scoped)
)

it.live("what goes on after its transaction or savepoint is over writes nothing into what comes next", () =>
  Effect.gen(function* () {
    const { layer, rows } = yield* world
    yield* Effect.gen(function* () {
      const stray = (n: number) =>
        Effect.map(
          Transaction,
          ({ handle }) =>
            () =>
              handle.execute(sql`insert into t (n) values (${n})`).then(() => n)
        )
      const refused = (run: () => Promise<unknown>) =>
        Effect.map(Effect.flip(Effect.tryPromise({ try: run, catch: (cause) => cause as Error })), ({ cause }) =>
          String(cause)
        )
      const over = "Error: the transaction of this statement is over"
      const outer = yield* within(
        Effect.gen(function* () {
          const inner = yield* within(Effect.andThen(put(1), stray(2)))
          assert.strictEqual(yield* refused(inner), over)
          const undone = yield* Effect.flip(within(Effect.flatMap(stray(3), (run) => Effect.fail({ run }))))
          assert.isTrue("run" in undone && (yield* refused(undone.run)) === over)
          return yield* stray(4)
        })
      )
      const next = yield* Effect.forkChild(within(Effect.andThen(put(5), Effect.never)))
      assert.strictEqual(yield* refused(outer), over)
      yield* Fiber.interrupt(next)
      assert.deepStrictEqual(yield* rows, [1])
    }).pipe(Effect.provide(layer))
  }).pipe(Effect.scoped)
)

it.live("a stray's own savepoint undoes nothing of what comes next", () =>
  Effect.gen(function* () {
    const { layer, rows } = yield* world
    yield* Effect.gen(function* () {
      const inside = Latch.makeUnsafe(false)
      const go = Latch.makeUnsafe(false)
      const ended = Latch.makeUnsafe(false)
      /** Its savepoint is still open when the transaction around it is over. */
      const stray = Effect.gen(function* () {
        const { handle } = yield* Transaction
        const nested = handle.transaction(async (tx) => {
          inside.openUnsafe()
          await Effect.runPromise(go.await)
          await tx.execute(sql`insert into t (n) values (1)`)
        })
        nested.catch(() => {}).finally(() => ended.openUnsafe())
        yield* inside.await
        return yield* Effect.fail("too slow")
      })
      yield* within(
        Effect.gen(function* () {
          assert.strictEqual(yield* Effect.flip(within(stray)), "too slow")
          yield* within(
            Effect.gen(function* () {
              yield* put(2)
              yield* within(put(3))
              go.openUnsafe()
              yield* ended.await
              yield* put(4)
            })
          )
        })
      )
      assert.deepStrictEqual(yield* rows, [2, 3, 4])
    }).pipe(Effect.provide(layer))
  }).pipe(Effect.scoped)
)

it.live("a backend that dies in a transaction fails it, and what runs on after that writes nothing", () =>
  Effect.gen(function* () {
    const { kill, layer, rows } = yield* world
    yield* Effect.gen(function* () {
      const killed = Latch.makeUnsafe(false)
      const started = Latch.makeUnsafe(false)
      const stubborn = within(
        Effect.gen(function* () {
          yield* put(1)
          started.openUnsafe()
          yield* killed.await
          // A handler that minds nothing: each of these would be a row of its own on a connection made anew.
          yield* Effect.ignore(put(2))
          yield* Effect.ignore(within(put(3)))
          yield* Effect.ignore(put(4))
        })
      )
      const fiber = yield* Effect.forkChild(Effect.flip(stubborn))
      yield* started.await
      assert.isAbove(yield* kill, 0, "the fault fired")
      killed.openUnsafe()
      const failure = yield* Fiber.join(fiber)
      assert.strictEqual(failure._tag, "DbError")
      assert.deepStrictEqual(yield* rows, [])
      // The other connection is dead as well; whoever uses it first may be the one to find out.
      yield* Effect.retry(within(put(5)), { times: 5 })
      assert.deepStrictEqual(yield* rows, [5], "the connection is made again")
    }).pipe(Effect.provide(layer))
  }).pipe(Effect.scoped)
)

it.live("backends that die under load fail transactions, never the process, and leave no half", () =>
  Effect.gen(function* () {
    const { kill, layer, rows } = yield* world
    yield* Effect.gen(function* () {
      let kills = 0
      let tried = 0
      const committed: Array<number> = []
      const pair = (n: number) =>
        within(Effect.andThen(put(2 * n), within(put(2 * n + 1)))).pipe(
          Effect.tap(() => Effect.sync(() => committed.push(n))),
          Effect.ignore,
          Effect.andThen(
            Effect.suspend(() => (++tried % 50 === 0 ? Effect.map(kill, (n) => (kills += n)) : Effect.void))
          )
        )
      const load = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 600 }, (_, n) => n),
          pair,
          { concurrency: 8, discard: true }
        )
      )
      yield* Fiber.join(load)
      assert.isAbove(kills, 10, "the fault fired")
      assert.isAbove(committed.length, 300, "the load went on")
      const there = new Set(yield* rows)
      for (const n of committed) assert.isTrue(there.has(2 * n), "what was acknowledged is there")
      for (let n = 0; n < 600; n++) assert.strictEqual(there.has(2 * n), there.has(2 * n + 1), `pair ${n} is whole`)
    }).pipe(Effect.provide(layer))
  }).pipe(Effect.scoped)
)

it.live("interrupted while it waits for a connection, a transaction never runs", () =>
  Effect.gen(function* () {
    const { layer, rows } = yield* world
    yield* Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const busy = yield* Effect.forEach([1, 2], () => Effect.forkChild(within(release.await)))
      const waiting = yield* Effect.forkChild(within(put(1)))
      yield* Effect.yieldNow
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(waiting))
      yield* Effect.yieldNow
      release.openUnsafe()
      yield* Fiber.join(interrupting)
      yield* Effect.forEach(busy, Fiber.join)
      yield* within(put(2))
      assert.deepStrictEqual(yield* rows, [2])
    }).pipe(Effect.provide(layer))
  }).pipe(Effect.scoped)
)

it.live("`Transaction` is the handle of the innermost one", () =>
  Effect.gen(function* () {
    const { layer, rows } = yield* world
    yield* within(
      Effect.gen(function* () {
        const { handle } = yield* Transaction
        yield* Effect.promise(() => handle.execute(sql`insert into t (n) values (9)`))
      })
    ).pipe(Effect.provide(layer))
    assert.deepStrictEqual(yield* rows, [9])
  }).pipe(Effect.scoped)
)

it.live("what a handler leaves in its session is over with its turn, or with its transaction", () =>
  Effect.gen(function* () {
    const { url } = yield* world
    const run = (text: string) => Effect.flatMap(Db, (db) => db.query((tx) => tx.execute(sql.raw(text))))
    const shows = {
      path: "current_setting('search_path')",
      tenant: "coalesce(current_setting('app.tenant', true), '')",
      timeout: "current_setting('statement_timeout')",
      isolation: "current_setting('default_transaction_isolation')",
      durable: "current_setting('synchronous_commit')",
      zone: "current_setting('TimeZone')",
      dates: "current_setting('DateStyle')",
      role: "current_user"
    }
    const left = {
      locks: "(select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())",
      temporary: "(select count(*)::int from pg_class where relpersistence = 't')",
      prepared: "(select count(*)::int from pg_prepared_statements)",
      channels: "(select count(*)::int from pg_listening_channels())"
    }
    const look = (what: Record<string, string>) =>
      Effect.map(run(`select ${Object.entries(what).map(([name, value]) => `${value} as ${name}`)}`), ([row]) => ({
        ...row
      }))
    const hidden =
      "create function pg_temp.f() returns text language sql as $$ select set_config('app.tenant', 'b', false) $$"
    const statements = [
      "set search_path to elsewhere",
      "set local app.tenant = 'a'",
      "set statement_timeout = 0",
      "set session characteristics as transaction isolation level repeatable read",
      "set synchronous_commit = off",
      "set local time zone 'Asia/Tokyo'",
      "set datestyle = 'German, DMY'",
      "set role pg_monitor",
      "set local role pg_monitor",
      "select pg_advisory_lock(7)",
      "create temporary table kept (n int)",
      "prepare p as select 1",
      "listen somewhere",
      `${hidden}; select pg_temp.f()`
    ]
    yield* Effect.gen(function* () {
      const all = { ...shows, ...left }
      const clean = yield* within(within(look(all)))
      for (const statement of statements) {
        yield* within(
          Effect.gen(function* () {
            // The fault is there.
            const during = yield* within(Effect.andThen(run(statement), look(all)))
            // LISTEN begins with the commit.
            if (statement !== "listen somewhere") assert.notDeepEqual(during, clean, statement)
            const next = yield* within(look(shows))
            for (const name of Object.keys(shows)) assert.strictEqual(next[name], clean[name], `${statement}: ${name}`)
          })
        )
        assert.deepStrictEqual(yield* within(within(look(all))), clean, statement)
      }
    }).pipe(Effect.provide(Db.layer({ url: Redacted.make(url), max: 1, statementTimeout: 5_000, turns: true })))
  }).pipe(Effect.scoped)
)
