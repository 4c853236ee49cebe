import { assert, it } from "@effect/vitest"
import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { headers, nanos } from "@nats-io/nats-core"
import { type Client, send } from "@troupe/client"
import { Key, type Message } from "@troupe/contract"
import { Outbox } from "@troupe/outbox"
import { DeadLetters } from "@troupe/postgres"
import { drizzle } from "drizzle-orm/postgres-js"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import postgres from "postgres"
import * as World from "./src/world.ts"

type Way = (
  world: World.World,
  messages: readonly [first: Message, second: Message],
  id: string
) => Effect.Effect<unknown, unknown, Client | Scope.Scope>

const pool = (world: World.World) =>
  Effect.acquireRelease(
    Effect.sync(() => drizzle(postgres(world.databaseUrl, { max: 1, onnotice: () => {} }))),
    (db) => Effect.promise(() => db.$client.end())
  )

/** A host that has no window: ids are published once more without being taken for repetitions. */
const withoutWindow = (world: World.World) =>
  Effect.promise(async () => {
    const stream = `CMD_${world.name}`
    const jsm = await jetstreamManager(world.nats)
    const { config } = await jsm.streams.info(stream)
    await jsm.streams.update(stream, { ...config, duplicate_window: nanos(100) })
    const js = jetstream(world.nats)
    const probe = () => {
      const all = headers()
      all.set("ce-id", "probe")
      return js.publish(`cmd.${world.name}.Counter.probe.k`, "", { headers: all, msgID: "probe" })
    }
    await probe()
    while ((await probe()).duplicate) await new Promise((resolve) => setImmediate(resolve))
  })

const ways: Record<string, Way> = {
  "sent twice": (_, messages, id) => Effect.forEach(messages, (message) => send(message, { id })),
  "sent twice, beyond the duplicate window": (world, [first, second], id) =>
    Effect.gen(function* () {
      yield* send(first, { id })
      yield* withoutWindow(world)
      yield* send(second, { id })
    }),
  "enqueued twice in one transaction": (world, messages, id) =>
    Effect.flatMap(pool(world), (db) =>
      Effect.promise(() =>
        db.transaction(async (tx) => {
          for (const message of messages) await Outbox.insert(tx, message, { id })
        })
      )
    ),
  "enqueued in two transactions": (world, messages, id) =>
    Effect.flatMap(pool(world), (db) =>
      Effect.forEach(messages, (message) =>
        Effect.promise(() => db.transaction((tx) => Outbox.insert(tx, message, { id })))
      )
    ),
  "sent, and enqueued": (world, [first, second], id) =>
    Effect.gen(function* () {
      yield* send(first, { id })
      const db = yield* pool(world)
      yield* Effect.promise(() => db.transaction((tx) => Outbox.insert(tx, second, { id })))
    })
}

const letters = (world: World.World) => () => Effect.runPromise(DeadLetters.list(world.sql, { code: "TRP0206" }))
const totals = (world: World.World) => async () =>
  Object.fromEntries(
    (
      await world.sql`select key, body from troupe.state where consumer in
    (select id from troupe.consumer where name like '%.Counter')`
    ).map((row) => [row["key"], Number(row["body"])])
  )

/** Two keys of one partition, and one of another. */
const [key, near, far] = (() => {
  const keys = Array.from({ length: 100 }, (_, i) => `k${i}`)
  const p = Key.partition(keys[0]!, 16)
  return [
    keys[0]!,
    keys.find((k, i) => i > 0 && Key.partition(k, 16) === p)!,
    keys.find((k) => Key.partition(k, 16) !== p)!
  ]
})()

const test = (name: string, body: (world: World.World) => Effect.Effect<unknown, unknown, Client | Scope.Scope>) =>
  it.live(
    name,
    () =>
      Effect.gen(function* () {
        const world = yield* World.make
        yield* world.start({})
        yield* Effect.provide(body(world), world.client)
      }).pipe(Effect.scoped),
    120_000
  )

for (const [how, say] of Object.entries(ways)) {
  test(`another message under a used id, ${how}, is a dead letter or arrives, and the same one is handled once`, (world) =>
    Effect.gen(function* () {
      const { Counter } = world.contract
      const add = (n: number, to = key) => Counter.at(to).add({ n })
      const id = () => crypto.randomUUID()
      yield* say(world, [add(1), add(10)], id())
      const [payload] = yield* World.until(letters(world), ({ length }) => length === 1)
      assert.deepInclude(payload, { code: "TRP0206", key })
      assert.deepStrictEqual(JSON.parse(new TextDecoder().decode(payload!.body)), { n: 10 })

      yield* say(world, [add(1), Counter.at(key).spread({ to: ["never"] })], id())
      yield* World.until(letters(world), ({ length }) => length === 2)

      yield* say(world, [add(1), add(10, near)], id())
      yield* World.until(letters(world), ({ length }) => length === 3)

      // Another partition has another inbox: it arrives, and so does what it says.
      yield* say(world, [add(1), add(10, far)], id())
      yield* say(world, [add(1), add(1)], id())
      yield* World.until(totals(world), (found) => found[key] === 5 && found[far] === 10)
      yield* World.settled(world)
      assert.deepStrictEqual(yield* Effect.promise(totals(world)), { [key]: 5, [far]: 10 })
      const heard = yield* Effect.promise(() => world.sql`select key from app.log where key = ${far}`)
      assert.lengthOf(heard, 1)
      assert.lengthOf(yield* Effect.promise(letters(world)), 3)
    }))
}

test("another message under the id of one that is parked waits behind it, and becomes a dead letter", (world) =>
  Effect.gen(function* () {
    const { Counter } = world.contract
    const id = crypto.randomUUID()
    // It fails three times in place, is parked, and succeeds at its next try.
    yield* send(Counter.at(key).flaky({ times: 4 }), { id })
    yield* send(Counter.at(key).add({ n: 1 }), { id })
    const [letter] = yield* World.until(letters(world), ({ length }) => length === 1)
    assert.deepStrictEqual(JSON.parse(new TextDecoder().decode(letter!.body)), { n: 1 })
    yield* World.settled(world)
    assert.lengthOf(yield* Effect.promise(() => world.sql`select from troupe.parked`), 0)
    assert.lengthOf(yield* Effect.promise(() => DeadLetters.list(world.sql).pipe(Effect.runPromise)), 1)
  }))
