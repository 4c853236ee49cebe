import { openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import { ask, send } from "@troupe/client"
import { startHost } from "@troupe/test-world"
import * as Link from "@troupe/test-world/link"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { burning, type Settings } from "./src/burning.ts"
import * as World from "./src/world.ts"

const script = fileURLToPath(new URL("./src/burning.ts", import.meta.url))
const hasty = { heartbeat: "200 millis", lease: "1 second" } as const

let logs = 0
/** A world of its own, and hosts whose handlers compute. */
const make = Effect.gen(function* () {
  const world = yield* World.make
  const { contract } = burning(world.name, false)
  const { databaseUrl, name, natsUrl, sql } = world
  yield* Effect.promise(() =>
    sql.unsafe(`
      create table app.moves ("from" uuid, "to" uuid, lived boolean);
      create function app.witness_move() returns trigger language plpgsql as $$ begin
        insert into app.moves values (old.host, new.host, old.host in (select id from troupe.living_v1()));
        return null;
      end $$;
      create trigger witness after update on troupe.partition for each row
        when (old.host is distinct from new.host) execute function app.witness_move();
    `)
  )
  const start = (settings: Pick<Settings, "burns"> & Partial<Settings>) =>
    Effect.gen(function* () {
      const log = join(tmpdir(), `troupe-guard-${process.pid}-${++logs}`)
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(log, { force: true })))
      const host = yield* startHost(script, { name, natsUrl, databaseUrl, ...settings }, openSync(log, "w"))
      return { ...host, stderr: () => readFileSync(log, "utf8") }
    })
  const owned = (hosts: number) =>
    World.until(
      async () => {
        const rows = await sql`select host, count(*)::int as n from troupe.partition where host is not null group by 1`
        return { hosts: rows.length, partitions: rows.reduce((sum, row) => sum + row["n"], 0) }
      },
      (seen) => seen.hosts === hosts && seen.partitions === 33
    )
  const moves = async () => (await sql`select "from", "to", lived from app.moves where "from" is not null`).length
  return { ...world, contract, start, owned, moves }
})

it.live(
  "a handler that computes for 7 s costs no lease of 5 s: its host goes on, and nothing is taken over",
  () =>
    Effect.gen(function* () {
      const { client, contract, moves, owned, start } = yield* make
      const host = yield* start({ burns: true })
      const before = yield* Effect.promise(moves)
      const other = yield* start({ burns: true })
      yield* owned(2)
      const shared = yield* Effect.promise(moves)
      assert.isAbove(shared, before, "the witness sees what moves")
      const burn = ask(contract.Burner.at("a").burn({ ms: 7_000 }), { timeout: "40 seconds" })
      assert.strictEqual(yield* Effect.provide(burn, client), 1)
      const output = host.output() + other.output()
      assert.include(output, "burns a\n", "the fault fired")
      assert.include(output, "burnt a\n")
      // Whoever would have taken it over saw it within 200 ms.
      const again = ask(contract.Burner.at("a").burn({ ms: 0 }), { timeout: "20 seconds" })
      assert.strictEqual(yield* Effect.provide(again, client), 2)
      assert.strictEqual(yield* Effect.promise(moves), shared, "no partition changed hands")
    }).pipe(Effect.scoped),
  90_000
)

it.live(
  "a handler that never returns ends its host once; the next host gives it up, and goes on with its key",
  () =>
    Effect.gen(function* () {
      const { client, contract, owned, sql, start } = yield* make
      const guard = { noteAfter: "500 millis", endAfterCpu: "3 seconds" } as const
      const victim = yield* start({ burns: true, guard, ...hasty })
      yield* Effect.provide(send(contract.Burner.at("a").burn({ ms: 600_000 })), client)
      yield* World.until(
        async () => victim.output(),
        (output) => output.includes("burns a\n")
      )
      const next = yield* start({ burns: false, guard, ...hasty })
      assert.strictEqual((yield* victim.ended).signal, "SIGKILL")
      const lines = victim.stderr().match(/TRP0312 .*/g) ?? []
      assert.lengthOf(lines, 1)
      assert.include(lines[0], `TRP0312 the event loop stands still, so the process is ended`)
      assert.notInclude(victim.output(), "burnt a\n")
      yield* owned(1)
      const burn = ask(contract.Burner.at("a").burn({ ms: 0 }), { timeout: "40 seconds" })
      assert.strictEqual(yield* Effect.provide(burn, client), 1, "it ran alone, so it was given up")
      const dead = yield* Effect.promise(() => sql`select code from troupe.dead`)
      assert.deepStrictEqual([...dead], [{ code: "TRP0302" }])
      assert.strictEqual(next.stderr().match(/TRP0312/g), null)
    }).pipe(Effect.scoped),
  90_000
)

it.live(
  "a key whose messages all end their hosts costs three of them, and then waits for an operator",
  () =>
    Effect.gen(function* () {
      const { client, contract, sql, start } = yield* make
      const guard = { noteAfter: "300 millis", endAfterCpu: "1 second" } as const
      const letters = () => sql`select code from troupe.dead`
      let last = yield* start({ burns: true, guard, ...hasty })
      for (let n = 0; n < 5; n++) yield* Effect.provide(send(contract.Burner.at("a").burn({ ms: 600_000 })), client)
      for (let n = 1; n <= 3; n++) {
        assert.strictEqual((yield* last.ended).signal, "SIGKILL", last.stderr())
        last = yield* start({ burns: true, guard, ...hasty })
      }
      yield* World.until(letters, (rows) => rows.length === 3)
      const other = ask(contract.Burner.at("b").burn({ ms: 0 }), { timeout: "20 seconds" })
      assert.strictEqual(yield* Effect.provide(other, client), 1)
      const parked = yield* World.until(
        () => sql`select key from troupe.parked`,
        (rows) => rows.length === 3
      )
      assert.deepStrictEqual(new Set(parked.map((row) => row["key"])), new Set(["a"]))
      assert.notInclude(last.output(), "burns a", "the two behind them did not run")
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "a message that only waits is not given up for what another one left behind: it runs again",
  () =>
    Effect.gen(function* () {
      const { client, contract, sql, start } = yield* make
      const guard = { noteAfter: "500 millis", endAfterCpu: "3 seconds" } as const
      const victim = yield* start({ burns: true, guard, ...hasty })
      const waits = yield* Effect.forkChild(
        Effect.provide(ask(contract.Burner.at("b").wait({ ms: 2_000 }), { timeout: "60 seconds" }), client)
      )
      yield* World.until(
        async () => victim.output(),
        (output) => output.includes("waits b\n")
      )
      yield* Effect.provide(send(contract.Burner.at("a").leave({ after: 500 })), client)
      yield* start({ burns: false, guard, ...hasty })
      assert.strictEqual((yield* victim.ended).signal, "SIGKILL")
      assert.include(victim.output(), "burns behind a\n", "the fault fired")
      assert.match(victim.stderr(), /TRP0312 .*Burner.wait b/)
      assert.strictEqual(yield* Fiber.join(waits), 1)
      assert.deepStrictEqual([...(yield* Effect.promise(() => sql`select code from troupe.dead`))], [])
    }).pipe(Effect.scoped),
  90_000
)

const backends = (world: Pick<World.World, "sql">, host: number) => world.sql<Array<{ pid: number }>>`
  select a.pid from pg_stat_activity a join troupe.host h on a.application_name = 'troupe:' || h.id
   where a.datname = current_database() and h.name like ${`% ${host}`} and a.pid in (select l.pid from pg_locks l where l.locktype = 'advisory')`

it.live(
  "a host whose thread loses its connection gives up its partitions and joins again; the loss of others costs none",
  () =>
    Effect.gen(function* () {
      const world = yield* make
      const { client, contract, moves, owned, sql, start } = world
      const host = yield* start({ burns: false, ...hasty })
      yield* owned(1)
      const epochs = async () => Number((await sql`select sum(epoch)::int as sum from troupe.partition`)[0]!["sum"])
      const before = yield* Effect.promise(epochs)
      const [lock] = yield* Effect.promise(() => backends(world, host.pid))
      const looks = yield* World.until(
        () => sql<Array<{ pid: number }>>`select pid from pg_stat_activity where datname = current_database()
          and pid <> ${lock!.pid} and query like '%living_v%' and application_name like 'troupe:%'`,
        (rows) => rows.length === 1
      )
      const [cut] = yield* Effect.promise(() => sql`select pg_terminate_backend(${looks[0]!.pid}) as cut`)
      assert.isTrue(cut!["cut"], "the fault fired")
      // It looks again, on another connection.
      yield* World.until(
        () => sql`select pid from pg_stat_activity where datname = current_database() and pid <> ${looks[0]!.pid}
          and pid <> ${lock!.pid} and query like '%living_v%' and application_name like 'troupe:%'`,
        (rows) => rows.length === 1
      )
      const burn = ask(contract.Burner.at("a").burn({ ms: 0 }), { timeout: "20 seconds" })
      assert.strictEqual(yield* Effect.provide(burn, client), 1)
      assert.strictEqual(yield* Effect.promise(epochs), before, "nothing was dropped")
      assert.strictEqual(yield* Effect.promise(moves), 0)

      yield* Effect.promise(() => sql`select pg_terminate_backend(${lock!.pid})`)
      yield* World.until(epochs, (sum) => sum === before + 33)
      yield* owned(1)
      assert.strictEqual(yield* Effect.provide(burn, client), 2)
      const [again] = yield* Effect.promise(() => backends(world, host.pid))
      assert.notStrictEqual(again!.pid, lock!.pid)
      assert.match(host.stderr(), /WARN.* TRP0327 .* · its connection to PostgreSQL is lost/)
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "a host that cannot reach the broker for longer than its lease leaves its partitions to one that can, and gets them back",
  () =>
    Effect.gen(function* () {
      const { client, contract, natsUrl, owned, sql, start } = yield* make
      const link = yield* Link.make(Number(new URL(natsUrl).port))
      const host = yield* start({ burns: false, ...hasty, natsUrl: `nats://127.0.0.1:${link.port}` })
      const other = yield* start({ burns: false, ...hasty })
      yield* owned(2)
      assert.isAbove(link.cut(), 0, "the fault fired")
      yield* owned(1)
      const [owner] = yield* Effect.promise(
        () => sql`select h.name from troupe.host h where h.id in (select host from troupe.partition)`
      )
      assert.match(owner!["name"], new RegExp(` ${other.pid}$`))
      const living = yield* Effect.promise(() => sql`select able from troupe.living_v2() order by able`)
      assert.deepStrictEqual([...living], [{ able: false }, { able: true }], "it was not robbed: it lives")
      const burns = Effect.forEach(
        Array.from({ length: 16 }, (_, i) => `k${i}`),
        (key) => ask(contract.Burner.at(key).burn({ ms: 0 }), { timeout: "20 seconds" }),
        { concurrency: 16 }
      )
      yield* Effect.provide(burns, client)
      link.mend()
      yield* owned(2)
      yield* Effect.provide(burns, client)
      assert.match(host.stderr(), /WARN.* TRP0326 .*lease of \d+ ms/)
    }).pipe(Effect.scoped),
  90_000
)

it.live(
  "when no host can reach the broker, no partition changes hands",
  () =>
    Effect.gen(function* () {
      const { client, contract, moves, natsUrl, owned, sql, start } = yield* make
      const link = yield* Link.make(Number(new URL(natsUrl).port))
      const through = { burns: false, ...hasty, natsUrl: `nats://127.0.0.1:${link.port}` }
      yield* Effect.all([start(through), start(through)], { concurrency: 2 })
      yield* owned(2)
      const before = yield* Effect.promise(moves)
      assert.isAbove(link.cut(), 1, "the fault fired")
      const unable = () => sql`select able from troupe.living_v2() where not able`
      yield* World.until(unable, (rows) => rows.length === 2)
      // Each of them has had time to give something up.
      const beats = async () =>
        Number((await sql`select sum(extract(epoch from heartbeat))::float8 as sum from troupe.host`)[0]!["sum"])
      const at = yield* Effect.promise(beats)
      yield* World.until(beats, (sum) => sum > at + 2 * 3)
      link.mend()
      yield* Effect.provide(ask(contract.Burner.at("a").burn({ ms: 0 }), { timeout: "20 seconds" }), client)
      assert.strictEqual(yield* Effect.promise(moves), before)
    }).pipe(Effect.scoped),
  90_000
)
