import { readFileSync } from "node:fs"
import { assert, it } from "@effect/vitest"
import { ask, type Client, send } from "@troupe/client"
import { Envelope, Key } from "@troupe/contract"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ledgers } from "./src/ledgers.ts"
import * as World from "./src/world.ts"

interface Timer {
  readonly key: string
  readonly n: number
  /** `<Actor>.<command>`; default: `note` of the actor that set it. */
  readonly command?: string
  /** Whose key its message is for; default: the one that set it. */
  readonly to?: string
  /** ms from now. */
  readonly delay: number
}

/** Timers as turns of `Ledger` set them. Before the first host starts it has to be told the consumer. */
const set = (world: World.World, timers: ReadonlyArray<Timer>) =>
  Effect.promise(async () => {
    const { name, sql } = world
    await sql`insert into troupe.consumer (name, partitions) values (${`${name}.Ledger`}, 16) on conflict do nothing`
    const rows = timers.map(({ command = "Ledger.note", delay, key, n, to = key }) => {
      const id = crypto.randomUUID()
      const headers = Envelope.toHeaders({ id, type: `${name}.${command}`, source: name, key: to })
      const subject = `cmd.${name}.${command}.${to}`
      return {
        id,
        key,
        p: Key.partition(key, 16),
        name: `timer ${n}`,
        delay,
        subject,
        headers: JSON.stringify(headers),
        body: `{"n":${n}}`
      }
    })
    await sql`insert into troupe.timer (consumer, p, key, name, due, id, stream, subject, headers, body)
      select c.id, t.p, t.key, t.name, now() + make_interval(secs => t.delay / 1000), t.id, ${`CMD_${name}`}, t.subject, t.headers, t.body
        from json_to_recordset(${JSON.stringify(rows)}::text::json) as t(id uuid, key text, p int, name text, delay float8, subject text, headers text, body text)
        join troupe.consumer c on c.name = ${`${name}.Ledger`}`
  })

const left = (world: World.World) => async () =>
  (await world.sql`select count(*)::int as n from troupe.timer`)[0]!["n"] as number
const states = (world: World.World) => async () =>
  Object.fromEntries(
    (await world.sql`select key, body from troupe.state`).map((row) => [row["key"], JSON.parse(row["body"])])
  )

const test = (
  name: string,
  body: (
    world: World.World,
    contract: ReturnType<typeof ledgers>["contract"]
  ) => Effect.Effect<unknown, unknown, Client | Scope.Scope>
) =>
  it.live(
    name,
    () =>
      Effect.gen(function* () {
        const world = yield* World.make
        yield* Effect.provide(body(world, ledgers(world.name).contract), world.client)
      }).pipe(Effect.scoped),
    90_000
  )

test("timers fire once, in the order of their times, whatever crashes", (world) =>
  Effect.gen(function* () {
    const keys = Array.from({ length: 8 }, (_, i) => `k${i}`)
    yield* set(
      world,
      keys.flatMap((key) => [3, 1, 2].map((n) => ({ key, n, delay: n - 1_000 })))
    )
    yield* set(world, [{ key: "k0", n: 7, command: "Strict.note", to: "elsewhere", delay: -500 }])
    for (const point of ["before commit", "after commit"] as const) {
      const host = yield* world.start({ ledgers: "service", crash: { point, nth: 2 } })
      yield* host.ended
      assert.include(host.output(), `crash: ${point}`)
    }
    yield* world.start({ ledgers: "service" })
    const wanted = Object.fromEntries([...keys.map((key) => [key, [1, 2, 3]]), ["elsewhere", [7]]])
    yield* World.until(
      states(world),
      (found) => Object.keys(found).length === 9 && Object.values(found).flat().length === 25
    )
    assert.deepStrictEqual(yield* Effect.promise(states(world)), wanted)
    assert.strictEqual(yield* Effect.promise(left(world)), 0)
    assert.deepStrictEqual(
      yield* Effect.promise(() => world.sql`select from troupe.dead`.then((rows) => rows.length)),
      0
    )
  }))

test("a timer of a key whose message fails waits until nothing of it is parked", (world, { Ledger }) =>
  Effect.gen(function* () {
    yield* set(world, [
      { key: "k", n: 9, delay: 3_600_000 },
      { key: "other", n: 1, delay: -1 }
    ])
    const settings = { ledgers: "service", parking: { first: 50, longest: 100, attempts: 1_000 } } as const
    const first = yield* world.start(settings)
    yield* send(Ledger.at("k").guarded({ n: 1 }))
    const parked = () => world.sql`select from troupe.parked`
    yield* World.until(parked, (rows) => rows.length === 1)
    first.kill("SIGKILL")
    yield* first.ended
    yield* Effect.promise(() => world.sql`update troupe.timer set due = now() where key = 'k'`)
    yield* world.start(settings)
    const tried = () => world.sql`select attempts from troupe.parked`
    const [before] = yield* Effect.promise(tried)
    yield* World.until(tried, ([row]) => row!["attempts"] > before!["attempts"] + 3)
    assert.strictEqual(yield* Effect.promise(left(world)), 1)
    yield* Effect.promise(() => world.sql`insert into app.mended values (1)`)
    yield* World.until(states(world), ({ k }) => k?.length === 2)
    assert.deepStrictEqual(yield* Effect.promise(states(world)), { k: [1, 9], other: [1] })
    assert.strictEqual(yield* Effect.promise(left(world)), 0)
  }))

test("100,000 timers that are not due cost a host no memory, and those that are due fire all the same", (world, {
  Ledger
}) =>
  Effect.gen(function* () {
    const memory = Effect.fnUntraced(function* () {
      const host = yield* world.start({ ledgers: "service" })
      yield* ask(Ledger.at("warm").note({ n: 1 }))
      const [, kB] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${host.pid}/status`, "utf8"))!
      return { host, bytes: Number(kB) * 1024 }
    })
    const without = yield* memory()
    without.host.kill("SIGTERM")
    yield* without.host.ended
    for (let i = 0; i < 10; i++) {
      yield* set(
        world,
        Array.from({ length: 10_000 }, (_, n) => ({ key: `k${n}`, n: i, delay: 3_600_000 + n }))
      )
    }
    yield* set(
      world,
      Array.from({ length: 500 }, (_, n) => ({ key: `s${n}`, n, command: "Ledger.stamp", delay: 5_000 + 2 * n }))
    )
    const withTimers = yield* memory()
    // Their rows alone are 40 MB, as Postgres has them.
    assert.isBelow(withTimers.bytes - without.bytes, 20 * 1024 ** 2)
    yield* World.until(left(world), (n) => n === 100_000)
    const [fired] = yield* Effect.promise(
      () =>
        world.sql`select count(*)::int as n, count(distinct n)::int as kinds, min(extract(epoch from at) * 1000 - said)::float8 as earliest from app.stamped`
    )
    assert.deepInclude(fired, { n: 500, kinds: 500 })
    assert.isAtLeast(fired!["earliest"], 0, "none before its time")
  }))

test("a timer fires that a turn set, nearer than those that were set before; what was replaced or cancelled does not", (world) =>
  Effect.gen(function* () {
    yield* world.start({})
    const key = world.contract.Counter.at("k")
    const later = (name: string, ms: number | null, n: number) => ask(key.later({ name, ms, n, then: "reply" }))
    yield* later("far", 3_600_000, 1)
    yield* later("replaced", 3_600_000, 10)
    yield* later("cancelled", 3_600_000, 100)
    yield* later("cancelled", null, 0)
    yield* later("replaced", 50, 500)
    yield* World.until(states(world), ({ k }) => k === 500)
    const [row] = yield* Effect.promise(() => world.sql`select string_agg(name, ' ') as names from troupe.timer`)
    assert.strictEqual(row!["names"], "far")
  }))
