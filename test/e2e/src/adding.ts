import { assert } from "@effect/vitest"
import { ask } from "@troupe/client"
import { Key } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as World from "./world.ts"

/** `rounds` adds of 1 to each key, in order within a key, side by side across keys; the total that each was answered. */
export const addAll = (world: World.World, keys: ReadonlyArray<string>, rounds: number) =>
  Effect.forEach(
    keys,
    (key) =>
      Effect.forEach(Array.from({ length: rounds }), () =>
        ask(world.contract.Counter.at(key).add({ n: 1 }), { timeout: "60 seconds" })
      ),
    { concurrency: "unbounded" }
  )

/** The same for as long as `more` says. */
export const addWhile = (world: World.World, keys: ReadonlyArray<string>, more: () => boolean) =>
  Effect.forEach(
    keys,
    (key) =>
      Effect.gen(function* () {
        const totals: Array<number> = []
        while (more()) totals.push(yield* ask(world.contract.Counter.at(key).add({ n: 1 }), { timeout: "60 seconds" }))
        return totals
      }),
    { concurrency: "unbounded" }
  )

/** Each key's state, events and log say: exactly `rounds`, in order, once. */
export const exactly = (world: World.World, keys: ReadonlyArray<string>, rounds: number) =>
  Effect.gen(function* () {
    yield* World.settled(world)
    const { name, sql } = world
    const states = yield* Effect.promise(
      () =>
        sql`select key, body from troupe.state s join troupe.consumer c on c.id = s.consumer where c.name = ${`${name}.Counter`}`
    )
    assert.deepStrictEqual(
      Object.fromEntries(states.map((row) => [row["key"], Number(row["body"])])),
      Object.fromEntries(keys.map((key) => [Key.encode(key)!, rounds]))
    )
    const rows = yield* Effect.promise(() => sql`select key, nth, total, position from app.log order by id`)
    const positions = new Map<string, number>()
    const seen = new Map<string, number>()
    for (const row of rows) {
      const key: string = row["key"]
      const nth = (seen.get(key) ?? 0) + 1
      seen.set(key, nth)
      assert.strictEqual(row["total"], nth, `${key}: events in the order emitted, none lost, none twice`)
      assert.strictEqual(row["nth"], nth, `${key}: the subscriber's own state counts the same`)
      assert.isAbove(Number(row["position"]), positions.get(key) ?? 0, `${key}: positions rise`)
      positions.set(key, Number(row["position"]))
    }
    assert.deepStrictEqual(Object.fromEntries(seen), Object.fromEntries(keys.map((key) => [key, rounds])))
    const stream = yield* Effect.promise(() => world.jsm.streams.info(`EVT_${name}`))
    assert.strictEqual(stream.state.messages, keys.length * rounds, "the stream has each event once")
    // What is not written as relayed would never be pruned, and be published again once the stream has forgotten it.
    yield* World.until(
      () => sql`select o.p from troupe.outbox o left join troupe.watermark w using (consumer, p, stream)
        where o.pos > coalesce(w.pos, 0)`,
      (left) => left.length === 0
    )
  })
