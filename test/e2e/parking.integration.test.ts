import { assert, it } from "@effect/vitest"
import { jetstream } from "@nats-io/jetstream"
import { headers } from "@nats-io/nats-core"
import { ask, type Client, type ClientError, send } from "@troupe/client"
import { Envelope, Key } from "@troupe/contract"
import { Outbox } from "@troupe/outbox"
import { DeadLetters } from "@troupe/postgres"
import { drizzle } from "drizzle-orm/postgres-js"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { ledgers } from "./src/ledgers.ts"
import postgres from "postgres"
import * as World from "./src/world.ts"

/** Tries again soon, and for long. */
const soon = { first: 50, longest: 100, attempts: 1_000 }
const patient = { timeout: "50 seconds" } as const

const parked = (world: World.World) => async () =>
  (await world.sql`select count(*)::int as n from troupe.parked`)[0]!["n"] as number
const dead = (world: World.World) => () => Effect.runPromise(DeadLetters.list(world.sql))
const mend = (world: World.World, n: number) => Effect.promise(() => world.sql`insert into app.mended values (${n})`)
const state = (world: World.World, key: string) => async () =>
  JSON.parse((await world.sql`select body from troupe.state where key = ${key}`)[0]?.["body"] ?? "[]") as Array<number>
const becomes = (world: World.World, key: string, wanted: ReadonlyArray<number>) =>
  World.until(state(world, key), (found) => JSON.stringify(found) === JSON.stringify(wanted))
const is =
  <A>(wanted: A) =>
  (found: A) =>
    found === wanted

const publish = (
  world: World.World,
  subject: string,
  type: string,
  more: Partial<Envelope.Envelope>,
  body: string,
  kind: "cmd" | "evt" = "cmd"
) =>
  Effect.promise(async () => {
    const all = headers()
    const envelope = Envelope.toHeaders({
      id: crypto.randomUUID(),
      type: `${world.name}.${type}`,
      source: "test",
      ...more
    })
    for (const [name, value] of Object.entries(envelope)) all.set(name, value)
    await jetstream(world.nats).publish(`${kind}.${world.name}.${subject}`, body, { headers: all })
  })

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

test("a key whose message fails waits, in order, also for the next owner; other keys go on", (world, { Ledger }) =>
  Effect.gen(function* () {
    const host = yield* world.start({ ledgers: "service", parking: soon })
    const poisoned = Ledger.at("poisoned")
    yield* send(poisoned.guarded({ n: 1 }))
    yield* send(poisoned.note({ n: 2 }))
    yield* send(poisoned.note({ n: 3 }), { id: "three" })
    yield* World.until(parked(world), is(3))
    assert.deepStrictEqual(yield* ask(Ledger.at("sound").note({ n: 1 })), [1])
    host.kill("SIGKILL")
    yield* host.ended
    yield* world.start({ ledgers: "service", parking: soon })
    yield* send(poisoned.note({ n: 4 }))
    // The same message once more, while it waits: as an ask, since the stream drops a mere repeat.
    const third = yield* Effect.forkChild(ask(poisoned.note({ n: 3 }), { id: "three", ...patient }))
    yield* World.until(parked(world), (n) => n >= 5)
    const [row] = yield* Effect.promise(() => world.sql`select max(attempts) as n from troupe.parked`)
    assert.isAbove(row!["n"], 1, "it was tried again")
    yield* mend(world, 1)
    assert.deepStrictEqual(yield* Fiber.join(third), [1, 2, 3])
    assert.deepStrictEqual(yield* ask(poisoned.note({ n: 5 }), patient), [1, 2, 3, 4, 5])
    yield* World.until(parked(world), is(0))
    assert.deepStrictEqual(yield* Effect.promise(dead(world)), [])
  }))

test("what is given up is kept, its key goes on, and it comes back under a new id", (world, { Ledger }) =>
  Effect.gen(function* () {
    yield* world.start({ ledgers: "service", parking: { attempts: 3, first: 20 } })
    const key = Ledger.at("k")
    const refused = yield* Effect.flip(ask(key.guarded({ n: 1 }), { id: "first", ...patient }))
    assert.deepInclude((refused as ClientError).reason, { _tag: "Rejected", code: "TRP0301" })
    assert.deepStrictEqual(yield* ask(key.note({ n: 2 })), [2])
    const [letter] = yield* Effect.promise(dead(world))
    assert.deepInclude(letter, { messageId: "first", origin: undefined, code: "TRP0301" })

    // Redriven before it is mended, it is given up again, under its new id.
    const again = yield* DeadLetters.redrive(world.sql, letter!.id, { by: "test" })
    const [second] = yield* World.until(dead(world), ([one]) => one !== undefined && one.id !== letter!.id)
    assert.deepInclude(second, { messageId: again.messageId, origin: "first" })
    assert.notProperty(second!.headers, "Troupe-Reply-To")

    yield* mend(world, 1)
    const third = yield* DeadLetters.redrive(world.sql, second!.id, { by: "test" })
    yield* becomes(world, "k", [2, 1])
    assert.deepStrictEqual(yield* Effect.promise(dead(world)), [])
    const handled = yield* Effect.promise(() => world.sql`select id::text from troupe.inbox`)
    assert.includeMembers(
      handled.map((row) => row["id"]),
      [again.messageId, third.messageId]
    )
    const wishes = yield* Effect.promise(() => world.sql`select by, kind, result from troupe.wish order by id`)
    assert.deepStrictEqual(
      wishes.map((row) => [row["by"], row["kind"], JSON.parse(row["result"])]),
      [again, third].map((result) => ["test", "redrive", result])
    )
    const none = yield* Effect.flip(DeadLetters.redrive(world.sql, second!.id, { by: "test" }))
    assert.deepInclude(none, { _tag: "WishError", code: "TRP0601" })
  }))

test("a key of an actor that blocks waits for an operator, also for the next owner", (world, { Strict }) =>
  Effect.gen(function* () {
    const settings = { ledgers: "service", parking: { attempts: 1 } } as const
    const host = yield* world.start(settings)
    const [redriven, discarded, undecodable] = ["redriven", "discarded", "undecodable"].map((key) => Strict.at(key))
    for (const key of [redriven!, discarded!]) {
      yield* send(key.guarded({ n: 1 }))
      yield* send(key.note({ n: 2 }))
    }
    yield* publish(world, "Strict.note.undecodable", "Strict.note", {}, `{"n":"one"}`)
    yield* send(undecodable!.note({ n: 2 }))
    yield* World.until(parked(world), is(6))
    assert.deepStrictEqual(yield* ask(Strict.at("other").note({ n: 1 })), [1])
    host.kill("SIGTERM")
    assert.deepInclude(yield* host.ended, { code: 0 })
    yield* world.start(settings)
    for (const key of [redriven!, discarded!, undecodable!]) yield* send(key.note({ n: 3 }))
    yield* World.until(parked(world), is(9))
    const letters = yield* Effect.promise(dead(world))
    const of = (key: string) => letters.find((letter) => letter.key === key)!.id
    assert.strictEqual(letters.length, 3)
    yield* mend(world, 1)
    yield* DeadLetters.redrive(world.sql, of("redriven"), { by: "test" })
    yield* becomes(world, "redriven", [1, 2, 3])
    for (const key of ["discarded", "undecodable"]) {
      yield* DeadLetters.discard(world.sql, of(key), { by: "test" })
      yield* becomes(world, key, [2, 3])
    }
    assert.strictEqual(yield* Effect.promise(parked(world)), 0)
    assert.deepStrictEqual(yield* Effect.promise(dead(world)), [])
  }))

test("what no longer fits behind a message that fails is a dead letter, and its partition goes on", (world, {
  Ledger
}) =>
  Effect.gen(function* () {
    yield* world.start({ ledgers: "service", parking: { ...soon, messages: 3 } })
    yield* send(Ledger.at("full").guarded({ n: 1 }))
    for (let n = 2; n <= 5; n++) yield* send(Ledger.at("full").note({ n }))
    const letters = yield* World.until(dead(world), (letters) => letters.length === 2)
    assert.deepStrictEqual(
      letters.map(({ body, code }) => [code, new TextDecoder().decode(body)]),
      [5, 4].map((n) => ["TRP0307", `{"n":${n}}`])
    )
    yield* mend(world, 1)
    yield* becomes(world, "full", [1, 2, 3])
    for (const { id } of letters.toReversed()) yield* DeadLetters.redrive(world.sql, id, { by: "test" })
    yield* becomes(world, "full", [1, 2, 3, 4, 5])
  }))

test("a caller that asks again while its message waits has one place in the line", (world, { Ledger }) =>
  Effect.gen(function* () {
    yield* world.start({ ledgers: "service", parking: { ...soon, messages: 3 } })
    const key = Ledger.at("k")
    yield* send(key.guarded({ n: 1 }))
    yield* World.until(parked(world), is(1))
    const asked = yield* Effect.forkChild(ask(key.note({ n: 2 }), patient))
    yield* World.until(
      () => world.jsm.streams.info(`CMD_${world.name}`),
      ({ state }) => state.messages === 4
    )
    yield* send(key.note({ n: 3 }))
    yield* World.until(parked(world), is(3))
    yield* mend(world, 1)
    assert.deepStrictEqual(yield* Fiber.join(asked), [1, 2])
    yield* becomes(world, "k", [1, 2, 3])
    assert.deepStrictEqual(yield* Effect.promise(dead(world)), [])
  }))

test("a partition whose keys fail stops instead of parking the world, and goes on by itself", (world, { Ledger }) =>
  Effect.gen(function* () {
    const { url } = yield* world.start({ ledgers: "service", parking: soon })
    const all = Array.from({ length: 2_000 }, (_, i) => `k${i}`).filter((key) => Key.partition(key, 16) === 0)
    yield* publish(world, `Ledger.note.${all[60]}`, "Ledger.note", {}, `{"n":"one"}`)
    yield* World.until(dead(world), (letters) => letters.length === 1)
    for (const key of all.slice(0, 60)) yield* send(Ledger.at(key).guarded({ n: 1 }))
    const look = () =>
      fetch(`${url}/readyz`).then(async (response) => [response.status, await response.text()] as const)
    const [, text] = yield* World.until(look, ([status]) => status === 503)
    assert.include(text, "TRP0308")
    assert.isBelow(yield* Effect.promise(parked(world)), 20)
    const [letter, ...more] = yield* Effect.promise(dead(world))
    assert.isEmpty(more)
    // What an operator wishes is done all the same.
    yield* DeadLetters.discard(world.sql, letter!.id, { by: "test" })
    assert.strictEqual((yield* Effect.promise(look))[0], 503)
    yield* mend(world, 1)
    yield* World.until(look, ([status]) => status === 200)
    yield* World.until(
      () => world.sql`select from troupe.state where body = '[1]'`,
      (rows) => rows.length === 60
    )
    yield* World.until(parked(world), is(0))
  }))

test("what comes again is dropped, also when its handler would fail by now", (world, { Ledger }) =>
  Effect.gen(function* () {
    const { url } = yield* world.start({ ledgers: "service", parking: soon })
    const all = Array.from({ length: 2_000 }, (_, i) => `k${i}`).filter((key) => Key.partition(key, 16) === 0)
    const keys = all.slice(0, 40)
    const tell = Effect.forEach(
      keys,
      (key) => publish(world, `Ledger.once.${key}`, "Ledger.once", { id: key }, `{"n":1}`),
      { concurrency: "unbounded", discard: true }
    )
    yield* tell
    yield* World.until(
      () => world.sql`select from troupe.state where body = '[1]'`,
      (rows) => rows.length === keys.length
    )
    // As after a log that went back: all of them at once, since a turn before them waits for a lock.
    const pool = postgres(world.databaseUrl, { max: 1, onnotice: () => {} })
    yield* Effect.promise(() =>
      pool.begin(async (tx) => {
        await tx`lock table app.stamped`
        await Effect.runPromise(Effect.provide(send(Ledger.at(all[50]!).stamp({ n: 1 })), world.client))
        await World.until(
          () => world.sql`select from pg_locks where not granted`,
          (rows) => rows.length > 0
        ).pipe(Effect.runPromise)
        await Effect.runPromise(tell)
      })
    )
    yield* Effect.promise(() => pool.end())
    assert.deepStrictEqual(yield* ask(Ledger.at(keys[0]!).note({ n: 2 }), { timeout: "10 seconds" }), [1, 2])
    assert.strictEqual((yield* Effect.promise(() => fetch(`${url}/readyz`))).status, 200)
    assert.strictEqual(yield* Effect.promise(parked(world)), 0)
    assert.deepStrictEqual(yield* Effect.promise(dead(world)), [])
  }))

test("a command of a newer contract waits for a host that knows it; one of ours or an older is refused", (world, {
  Ledger
}) =>
  Effect.gen(function* () {
    const old = yield* world.start({ ledgers: "service", parking: { ...soon, attempts: 1 } })
    yield* publish(world, "Ledger.later.k", "Ledger.later", { contract: 2 }, `{"n":1}`)
    yield* send(Ledger.at("k").note({ n: 2 }))
    yield* publish(world, "Ledger.later.old", "Ledger.later", { contract: 1 }, `{"n":1}`)
    const [letter] = yield* World.until(dead(world), (letters) => letters.length > 0)
    assert.deepInclude(letter, { key: "old", code: "TRP0202" })
    const attempts = async () => (await world.sql`select max(attempts) as n from troupe.parked`)[0]!["n"] as number
    yield* World.until(attempts, (n) => n > 2)
    old.kill("SIGKILL")
    yield* old.ended
    yield* world.start({ ledgers: "newer" })
    yield* becomes(world, "k", [1, 2])
    assert.strictEqual((yield* Effect.promise(dead(world))).length, 1)
  }))

test("an event of a newer version waits for a host that knows it, and its key's later ones behind it", (world) =>
  Effect.gen(function* () {
    const old = yield* world.start({ ledgers: "service", parking: { ...soon, attempts: 1 } })
    const noted = (key: string, version: number, body: string) =>
      publish(world, `Ledger.noted.${key}`, "Ledger.noted", { version }, body, "evt")
    yield* noted("k", 2, `{"numbers":[1,2]}`)
    yield* noted("k", 1, `{"n":3}`)
    // Of a version that it knows, and yet not to be read.
    yield* noted("broken", 1, `{"numbers":[1]}`)
    const [letter] = yield* World.until(dead(world), (letters) => letters.length > 0)
    assert.deepInclude(letter, { key: "broken", code: "TRP0209" })
    const attempts = async () => (await world.sql`select max(attempts) as n from troupe.parked`)[0]!["n"] as number
    yield* World.until(attempts, (n) => n > 2)
    old.kill("SIGKILL")
    yield* old.ended
    yield* world.start({ ledgers: "newer" })
    yield* becomes(world, "k", [1, 2, 3])
    assert.strictEqual((yield* Effect.promise(dead(world))).length, 1)
  }))

test("a dead letter of the relay goes back into the outbox", (world) =>
  Effect.gen(function* () {
    yield* world.start({})
    const events = `EVT_${world.name}`
    const sized = (bytes: number) => Effect.promise(() => world.jsm.streams.update(events, { max_msg_size: bytes }))
    yield* sized(5_000)
    yield* ask(world.contract.Counter.at("k").shout({ length: 10_000 }))
    const [letter] = yield* World.until(dead(world), (letters) => letters.length > 0)
    assert.deepInclude(letter, { code: "TRP0207", sequence: 0 })
    yield* sized(-1)
    const { messageId } = yield* DeadLetters.redrive(world.sql, letter!.id, { by: "test" })
    const last = yield* World.until(
      () => world.jsm.streams.getMessage(events, { last_by_subj: `evt.${world.name}.*.Counter.shouted.k` }),
      (message) => message !== null
    )
    assert.strictEqual(last!.header.get("ce-id"), messageId)
    assert.strictEqual(last!.header.get("Troupe-Origin-Id"), letter!.messageId)
    // The lane goes on behind it.
    yield* ask(world.contract.Counter.at("k").add({ n: 1 }))
    yield* World.until(
      () => world.jsm.streams.info(events),
      ({ state }) => state.messages === 2
    )
    assert.deepStrictEqual(yield* Effect.promise(dead(world)), [])
  }))

test("so does one of a plain transaction, under its wish's id", (world) =>
  Effect.gen(function* () {
    yield* world.start({})
    const commands = `CMD_${world.name}`
    const sized = (bytes: number) => Effect.promise(() => world.jsm.streams.update(commands, { max_msg_size: bytes }))
    yield* sized(5_000)
    const pool = yield* Effect.acquireRelease(
      Effect.sync(() => postgres(world.databaseUrl, { max: 1, onnotice: () => {} })),
      (pool) => Effect.promise(() => pool.end())
    )
    const large = world.contract.Counter.at("k").spread({ to: Array.from({ length: 1_000 }, () => "other key") })
    yield* Effect.promise(() => drizzle(pool).transaction((tx) => Outbox.insert(tx, large)))
    const [letter] = yield* World.until(dead(world), (letters) => letters.length > 0)
    assert.deepInclude(letter, { code: "TRP0207", consumer: `${world.name}.outbox` })
    yield* sized(-1)
    const { messageId } = yield* DeadLetters.redrive(world.sql, letter!.id, { by: "test" })
    yield* becomes(world, "other%20key", 1_000 as never)
    const handled = yield* Effect.promise(() => world.sql`select from troupe.inbox where id = ${messageId}::uuid`)
    assert.strictEqual(handled.length, 1)
  }))
