import { readFile } from "node:fs/promises"
import { assert, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import { Outbox } from "@troupe/outbox"
import { drizzle } from "drizzle-orm/postgres-js"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import postgres from "postgres"
import { addAll, addWhile, exactly } from "./src/adding.ts"
import { newer } from "./src/newer.ts"
import * as World from "./src/world.ts"

const keys = Array.from({ length: 40 }, (_, i) => `key ${i} é`)

/** So that a frozen host is replaced soon. */
const hasty = { heartbeat: "100 millis", lease: "1 second" } as const

/** Keeps every commit and every change of an owner, and whether the owner before was alive then. */
const witnessed = (world: World.World) =>
  Effect.promise(() =>
    world.sql.unsafe(`
      create table app.commits (consumer int, p int, n bigint, by text, owner uuid);
      create function app.witness_commit() returns trigger language plpgsql as $$ begin
        insert into app.commits select new.consumer, new.p, new.n, current_setting('application_name'), t.host
          from troupe.partition t where t.consumer = new.consumer and t.p = new.p;
        return null;
      end $$;
      create trigger witness after insert on troupe.mark for each row execute function app.witness_commit();
      create table app.moves (consumer int, p int, "from" uuid, "to" uuid, lived boolean);
      create function app.witness_move() returns trigger language plpgsql as $$ begin
        insert into app.moves values (new.consumer, new.p, old.host, new.host, old.host in (select id from troupe.living_v1()));
        return null;
      end $$;
      create trigger witness after update on troupe.partition for each row
        when (old.host is distinct from new.host) execute function app.witness_move();
    `)
  )

/** No mark was committed twice or left out, each by the host that owned its partition, and no living host was robbed. */
const lawful = (world: World.World) =>
  Effect.promise(async () => {
    const { sql } = world
    const [marks] = await sql`select count(*)::int as n, count(distinct (consumer, p, n))::int as distinct,
      count(*) filter (where by <> 'troupe:' || owner)::int as foreign from app.commits`
    assert.isAbove(marks!["n"], 0)
    assert.strictEqual(marks!["n"], marks!["distinct"], "no mark was committed twice")
    assert.strictEqual(marks!["foreign"], 0, "nobody but the owner commits")
    const gaps = await sql`select consumer, p from app.commits group by 1, 2 having max(n) <> count(*)`
    assert.deepStrictEqual([...gaps], [], "no mark was left out")
    const robbed = await sql`select * from app.moves where "from" is not null and "to" is not null and lived`
    assert.deepStrictEqual([...robbed], [], "no living host was robbed")
  })

const idOf = (world: World.World, host: World.HostProcess) =>
  Effect.promise(async () => {
    const [row] = await world.sql`select id from troupe.host where name like ${`% ${host.pid}`}`
    return row!["id"] as string
  })

/** How many partitions each host owns, per consumer, in ascending order. */
const shares = async (world: World.World): Promise<Record<string, ReadonlyArray<number>>> => {
  const rows = await world.sql`select c.name, t.host, count(*)::int as n from troupe.partition t
    join troupe.consumer c on c.id = t.consumer where t.host is not null group by 1, 2 order by n`
  return Object.fromEntries(
    [...Map.groupBy(rows, (row) => row["name"] as string)].map(([name, rows]) => [name, rows.map((row) => row["n"])])
  )
}
const shared = (world: World.World, ...counts: ReadonlyArray<number>) => {
  const each = Object.fromEntries(["Counter", "log", "outbox"].map((part) => [`${world.name}.${part}`, counts]))
  return World.until(
    () => shares(world),
    (seen) => JSON.stringify(seen) === JSON.stringify({ ...seen, ...each })
  )
}
const ready = (host: World.HostProcess) =>
  World.until(
    () => fetch(`${host.url}/readyz`).then((response) => response.status),
    (status) => status === 200
  )
const rise = (rounds: number) => Array.from({ length: rounds }, (_, i) => i + 1)
const handled = (world: World.World) => () =>
  world.sql`select count(*)::int as n from troupe.inbox`.then(([row]) => row!["n"] as number)

it.live(
  "three hosts share 16 partitions within one, and whoever lives shares what the dead had",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      yield* witnessed(world)
      const hosts = yield* Effect.all([world.start(), world.start(), world.start()], { concurrency: 3 })
      yield* shared(world, 5, 5, 6)
      yield* Effect.forEach(hosts, ready)
      const fourth = yield* world.start()
      yield* shared(world, 4, 4, 4, 4)
      fourth.kill("SIGKILL")
      assert.strictEqual((yield* fourth.ended).signal, "SIGKILL", "the fault fired")
      yield* shared(world, 5, 5, 6)
      yield* Effect.provide(addAll(world, keys, 3), world.client)
      yield* exactly(world, keys, 3)
      yield* lawful(world)
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "with three hosts that are killed one after another under load, nothing is lost, repeated or reordered",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      yield* witnessed(world)
      const hosts = yield* Effect.all([world.start(), world.start(), world.start()], { concurrency: 3 })
      yield* shared(world, 5, 5, 6)
      const rounds = 60
      const adding = yield* Effect.forkScoped(Effect.provide(addAll(world, keys, rounds), world.client))
      for (let kill = 0; kill < 4; kill++) {
        yield* World.until(handled(world), (n) => n >= (kill + 1) * 400)
        const victim = hosts.shift()!
        victim.kill("SIGKILL")
        assert.strictEqual((yield* victim.ended).signal, "SIGKILL", "the fault fired")
        hosts.push(yield* world.start())
      }
      for (const each of yield* Fiber.join(adding)) assert.deepStrictEqual(each, rise(rounds))
      yield* shared(world, 5, 5, 6)
      yield* exactly(world, keys, rounds)
      yield* lawful(world)
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "a living owner is never robbed: a host that joins under load gets its share as it is given back",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      yield* witnessed(world)
      yield* world.start()
      yield* shared(world, 16)
      const rounds = 60
      const adding = yield* Effect.forkScoped(Effect.provide(addAll(world, keys, rounds), world.client))
      yield* World.until(handled(world), (n) => n >= 300)
      yield* world.start()
      yield* shared(world, 8, 8)
      const epochs = () => world.sql`select consumer, p, epoch from troupe.partition order by 1, 2`
      const before = yield* Effect.promise(epochs)
      for (const each of yield* Fiber.join(adding)) assert.deepStrictEqual(each, rise(rounds))
      assert.deepStrictEqual([...(yield* Effect.promise(epochs))], [...before], "then nothing changes hands any more")
      yield* exactly(world, keys, rounds)
      yield* lawful(world)
      const [moves] = yield* Effect.promise(
        () => world.sql`select count(*) filter (where "to" is null)::int as given,
          count(*) filter (where "from" is null)::int as taken from app.moves m
          join troupe.consumer c on c.id = m.consumer where c.name not like '%.unclaimed'`
      )
      assert.deepStrictEqual(moves, { given: 24, taken: 72 }, "only those moved that the second host was to have")
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "a host that freezes inside a transaction is replaced after its lease; it goes on, commits nothing, and joins anew",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      yield* witnessed(world)
      // The 40th commit is one inside a transaction: it holds the row of its partition.
      const crash = { point: "before commit", nth: 40, signal: "SIGSTOP" } as const
      const frozen = yield* world.start({ ...hasty, crash })
      const other = yield* world.start(hasty)
      yield* shared(world, 8, 8)
      const id = yield* idOf(world, frozen)
      const rounds = 12
      const record = Effect.forEach(
        keys,
        (key) =>
          Effect.forEach(rise(rounds), () =>
            ask(world.contract.Counter.at(key).record({ n: 1, then: "reply" }), { timeout: "60 seconds" })
          ),
        { concurrency: "unbounded" }
      )
      const recording = yield* Effect.forkScoped(Effect.provide(record, world.client))
      const state = () => readFile(`/proc/${frozen.pid}/stat`, "utf8").then((stat) => stat.split(") ")[1]![0])
      yield* World.until(state, (state) => state === "T")
      assert.include(frozen.output(), "crash: before commit", "the fault fired")
      const held = yield* Effect.promise(
        () => world.sql`select pid from pg_stat_activity
          where application_name = ${`troupe:${id}`} and state = 'idle in transaction'`
      )
      assert.isAbove(held.length, 0, "it is frozen inside a transaction")
      yield* shared(world, 16)
      yield* ready(other)
      for (const each of yield* Fiber.join(recording)) assert.deepStrictEqual(each, rise(rounds))
      const commits = () => world.sql`select count(*)::int as n from app.commits where by = ${`troupe:${id}`}`
      const before = yield* Effect.promise(commits)
      frozen.kill("SIGCONT")
      yield* shared(world, 8, 8)
      assert.deepStrictEqual(
        [...(yield* Effect.promise(commits))],
        [...before],
        "what it had at hand was not committed"
      )
      yield* ready(frozen)
      const [row] = yield* Effect.promise(() => world.sql`select count(*)::int as n from app.recorded`)
      assert.strictEqual(row!["n"], keys.length * rounds, "each row is written once")
      yield* Effect.provide(addAll(world, keys, 2), world.client)
      yield* World.settled(world)
      const again = yield* Effect.promise(commits)
      assert.isAbove(again[0]!["n"], before[0]!["n"], "it has its share again")
      yield* lawful(world)
    }).pipe(Effect.scoped),
  90_000
)

it.live(
  "a host that is frozen again and again under load neither loses, repeats nor reorders anything",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      yield* witnessed(world)
      const victim = yield* world.start(hasty)
      yield* world.start(hasty)
      yield* shared(world, 8, 8)
      const id = yield* idOf(world, victim)
      const rounds = 60
      const adding = yield* Effect.forkScoped(Effect.provide(addAll(world, keys, rounds), world.client))
      for (let freeze = 1; freeze <= 2; freeze++) {
        yield* World.until(handled(world), (n) => n >= freeze * 500)
        victim.kill("SIGSTOP")
        yield* shared(world, 16)
        const mine = () => world.sql`select p from troupe.partition where host = ${id}::uuid`
        assert.deepStrictEqual([...(yield* Effect.promise(mine))], [], "the fault fired: it was given up")
        victim.kill("SIGCONT")
        yield* shared(world, 8, 8)
      }
      for (const each of yield* Fiber.join(adding)) assert.deepStrictEqual(each, rise(rounds))
      yield* exactly(world, keys, rounds)
      yield* ready(victim)
      yield* lawful(world)
    }).pipe(Effect.scoped),
  90_000
)

it.live(
  "what is enqueued is adopted by the owners of its partitions, also when one of them is killed, once and in order",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      yield* witnessed(world)
      const hosts = [yield* world.start(), yield* world.start()]
      yield* shared(world, 8, 8)
      const pool = yield* Effect.acquireRelease(
        Effect.sync(() => postgres(world.databaseUrl, { max: 4, onnotice: () => {} })),
        (pool) => Effect.promise(() => pool.end())
      )
      const db = drizzle(pool)
      const enqueue = (round: number) =>
        Effect.promise(() =>
          db.transaction(async (tx) => {
            for (const key of keys) await Outbox.insert(tx, world.contract.Counter.at(key).add({ n: round }))
          })
        )
      const rounds = 20
      for (const round of rise(rounds)) {
        yield* enqueue(round)
        if (round === 10) hosts[0]!.kill("SIGKILL")
      }
      assert.strictEqual((yield* hosts[0]!.ended).signal, "SIGKILL", "the fault fired")
      yield* shared(world, 16)
      const totals = () => world.sql`select key, array_agg(total order by id)::text as totals from app.log group by key`
      const sums = `{${rise(rounds)
        .map((n) => (n * (n + 1)) / 2)
        .join(",")}}`
      const all = yield* World.until(
        totals,
        (rows) => rows.length === keys.length && rows.every((row) => row["totals"].length >= sums.length)
      )
      for (const row of all) assert.strictEqual(row["totals"], sums)
      yield* lawful(world)
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "SIGTERM under load hands over: everything is given back and taken before the host ends",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      yield* witnessed(world)
      // A lease that nobody here could wait for.
      const patient = { heartbeat: "10 seconds", lease: "1 minute" } as const
      const first = yield* world.start(patient)
      yield* world.start(patient)
      yield* shared(world, 8, 8)
      const id = yield* idOf(world, first)
      const rounds = 40
      const adding = yield* Effect.forkScoped(Effect.provide(addAll(world, keys, rounds), world.client))
      yield* World.until(handled(world), (n) => n >= 400)
      first.kill("SIGTERM")
      assert.deepStrictEqual(yield* first.ended, { code: 0, signal: null })
      const left = yield* Effect.promise(
        () => world.sql`select id from troupe.host where id = ${id}::uuid union all
          select host from troupe.partition where host = ${id}::uuid union all
          select "from" from app.moves where "from" = ${id}::uuid and "to" is not null`
      )
      assert.deepStrictEqual([...left], [], "its rows are gone, and each partition was given back, none taken from it")
      yield* shared(world, 16)
      for (const each of yield* Fiber.join(adding)) assert.deepStrictEqual(each, rise(rounds))
      yield* exactly(world, keys, rounds)
      yield* lawful(world)
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "a rolling deploy under load loses nothing, and older code takes nothing over from newer code",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      yield* witnessed(world)
      const old = [yield* world.start(hasty), yield* world.start(hasty)]
      yield* shared(world, 8, 8)
      let deploying = true
      const adding = yield* Effect.forkScoped(
        Effect.provide(
          addWhile(world, keys, () => deploying),
          world.client
        )
      )
      yield* World.until(handled(world), (n) => n >= 200)
      const next = [yield* world.start({ ...hasty, newer: true })]
      yield* shared(world, 5, 5, 6)
      const before = yield* Effect.promise(handled(world))
      yield* World.until(handled(world), (n) => n >= before + 400)
      // A new host dies beside two old ones: what it had waits for new code.
      next[0]!.kill("SIGKILL")
      assert.strictEqual((yield* next[0]!.ended).signal, "SIGKILL", "the fault fired")
      next[0] = yield* world.start({ ...hasty, newer: true })
      for (const host of old) {
        host.kill("SIGTERM")
        assert.strictEqual((yield* host.ended).code, 0)
        if (next.length < 2) next.push(yield* world.start({ ...hasty, newer: true }))
      }
      yield* shared(world, 8, 8)
      deploying = false
      const totals = yield* Fiber.join(adding)
      const { contract } = newer(world.name)
      const times = yield* Effect.forEach(keys, (key) => ask(contract.Counter.at(key).times())).pipe(
        Effect.provide(world.client)
      )
      assert.isAbove(Math.max(...times), 0, "the new code handled some")
      assert.isTrue(
        totals.some(({ length }, i) => times[i]! < length),
        "and the old code others"
      )
      for (const each of totals) assert.deepStrictEqual(each, rise(each.length))
      yield* lawful(world)

      const late = yield* world.start(hasty)
      for (const host of next) host.kill("SIGKILL")
      yield* Effect.forEach(next, ({ ended }) => ended)
      const trouble = () => fetch(`${late.url}/readyz`).then(async (response) => JSON.stringify(await response.json()))
      yield* World.until(trouble, (text) => text.includes("nobody owns it, newer code, of contract 2, had it"))
      const lateId = yield* idOf(world, late)
      const taken = yield* Effect.promise(() => world.sql`select p from app.moves where "to" = ${lateId}::uuid`)
      assert.deepStrictEqual([...taken], [], "older code takes nothing over from newer code")
      assert.deepStrictEqual([...(yield* Effect.promise(() => world.sql`select id from troupe.dead`))], [])
    }).pipe(Effect.scoped),
  120_000
)
