import { Actor, Subscriber } from "@troupe/actor"
import { assert, describe, it } from "@effect/vitest"
import { Contract, Envelope } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Consumer from "../../src/engine/Consumer.ts"
import * as Id from "../../src/engine/id.ts"
import * as Stored from "../../src/engine/Stored.ts"
import { incoming } from "./incoming.ts"

import { chances, numberOf, Shop, World } from "./parkingWorld.ts"

const keys = ["a", "b", "c", "d"]
const seeds = Schema.Int

const times = { timeout: 60_000, arbitrary: { runs: 40, maxShrinks: 20 } }

/** Sends 60 messages to 4 keys, some of which fail for a while, some twice, some for good; owners crash. */
const run = (world: World, forGood: ReadonlySet<number>) =>
  Effect.gen(function* () {
    const { chance } = world
    const sent = new Map(keys.map((key) => [key, [] as Array<number>]))
    for (let n = 0; n < 60; n++) {
      const key = keys[chance(keys.length)]!
      sent.get(key)!.push(n)
      world.send(key, n)
      if (chance(6) === 0) world.send(key, n)
      if (chance(5) === 0 || forGood.has(n)) world.broken.add(n)
    }
    for (let step = 0; step < 60; step++) {
      if (chance(6) === 0) world.takeOver()
      for (const n of world.broken) if (!forGood.has(n) && chance(8) === 0) world.broken.delete(n)
      yield* world.batch(chance(6), chance(8) === 0)
    }
    for (const n of world.broken) if (!forGood.has(n)) world.broken.delete(n)
    for (let step = 0; step < 100 && (world.cursor < world.stream.length || world.parked.size > 0); step++)
      yield* world.batch(5)
    assert.strictEqual(world.cursor, world.stream.length)
    return sent
  })

describe("a key whose message fails", () => {
  it.effect.prop(
    "loses nothing, runs nothing twice, and nothing of it overtakes",
    [seeds],
    ([seed]) =>
      Effect.gen(function* () {
        const world = new World(chances(seed), { attempts: 1_000, first: 0 })
        const sent = yield* run(world, new Set())
        assert.strictEqual(world.parked.size, 0)
        assert.deepStrictEqual(world.dead, [])
        for (const [key, numbers] of sent) assert.deepStrictEqual(world.applied.get(key) ?? [], numbers)
      }),
    times
  )

  it.effect.prop(
    "goes on without the message once that is given up",
    [seeds],
    ([seed]) =>
      Effect.gen(function* () {
        const forGood = new Set([3, 11, 12, 40])
        const world = new World(chances(seed), { attempts: 6, first: 0 })
        const sent = yield* run(world, forGood)
        assert.strictEqual(world.parked.size, 0)
        const gone = world.dead.map(numberOf)
        assert.strictEqual(new Set(gone).size, gone.length)
        assert.includeMembers(gone, [...forGood])
        for (const [key, numbers] of sent) {
          assert.deepStrictEqual(
            world.applied.get(key) ?? [],
            numbers.filter((n) => !gone.includes(n))
          )
        }
      }),
    times
  )

  it.effect.prop(
    "waits behind it where the contract says so",
    [seeds],
    ([seed]) =>
      Effect.gen(function* () {
        const world = new World(chances(seed), { attempts: 6, first: 0 }, true)
        const sent = yield* run(world, new Set([20]))
        const gone = new Set(world.dead.map(numberOf))
        for (const [key, numbers] of sent) {
          const stop = numbers.findIndex((n) => gone.has(n))
          assert.deepStrictEqual(world.applied.get(key) ?? [], stop < 0 ? numbers : numbers.slice(0, stop))
          assert.strictEqual(world.parked.has(key), stop >= 0)
          assert.isAtMost(numbers.filter((n) => gone.has(n)).length, 1)
        }
      }),
    times
  )
})

describe("the bounds of a parked key", () => {
  it.effect("make dead letters of what no longer fits, and the key goes on with what did", () =>
    Effect.gen(function* () {
      const world = new World(() => 1, { attempts: 2, messages: 3 })
      world.broken.add(0)
      for (let n = 0; n < 5; n++) world.send("a", n)
      yield* world.batch(5)
      assert.deepStrictEqual(
        world.dead.map((row) => [numberOf(row), row.code]),
        [3, 4].map((n) => [n, "TRP0307"])
      )
      assert.strictEqual(world.parked.get("a")!.size, 3)
      world.broken.clear()
      for (let i = 0; i < 3; i++) yield* world.batch(0)
      assert.deepStrictEqual(world.applied.get("a"), [0, 1, 2])
      assert.isTrue(world.inbox.has(Id.ofMessage("m-3")))
    })
  )

  it.effect("do not count what was handled before and comes again", () =>
    Effect.gen(function* () {
      const world = new World(() => 1, { messages: 2 })
      world.broken.add(1)
      for (const n of [0, 1, 0, 0, 0]) world.send("a", n)
      yield* world.batch(2)
      yield* world.batch(3)
      assert.deepStrictEqual(world.dead, [])
      assert.strictEqual(world.parked.get("a")!.size, 1)
    })
  )

  it.effect("do not count a caller that asks again while its message waits, and keep that message", () =>
    Effect.gen(function* () {
      const world = new World(() => 1, { messages: 3 })
      world.broken.add(0)
      for (const n of [0, 1, 1, 0]) world.send("a", n, "caller")
      yield* world.batch(4)
      for (const n of [1, 0, 1]) world.send("a", n, "caller")
      yield* world.batch(3)
      assert.strictEqual(world.parked.get("a")!.size, 2)
      // Somebody else is answered too, as long as there is room.
      for (const caller of ["second", "second", "third"]) world.send("a", 1, caller)
      yield* world.batch(3)
      assert.strictEqual(world.parked.get("a")!.size, 3)
      assert.deepStrictEqual(world.dead, [])
      assert.strictEqual(world.inbox.size, 0, "nothing is settled")
      world.broken.clear()
      const told: Array<string> = []
      for (let i = 0; i < 3; i++) told.push(...(yield* world.batch(0))!.replies.map(({ to }) => to))
      assert.deepStrictEqual(world.applied.get("a"), [0, 1])
      assert.deepStrictEqual(new Set(told), new Set(["_INBOX.caller.1", "_INBOX.second.1"]))
    })
  )

  it.effect("do not take messages without an id for the same one", () =>
    Effect.gen(function* () {
      const world = new World(() => 1, {})
      world.broken.add(0)
      for (const n of [0, 1, 2]) world.send("a", n)
      for (const { message } of world.stream.slice(1)) (message.headers as Map<string, string>).delete("ce-id")
      yield* world.batch(2)
      yield* world.batch(1)
      assert.strictEqual(world.parked.get("a")!.size, 3)
    })
  )

  it.effect("grow the time between tries", () =>
    Effect.gen(function* () {
      const world = new World(() => 1, { attempts: 6, first: 100, factor: 3, longest: 2_000 })
      world.broken.add(0)
      world.send("a", 0)
      const delays: Array<number | null> = []
      for (let i = 0; i < 6; i++) {
        yield* world.batch(1)
        for (const { delay } of world.parked.get("a")?.values() ?? []) delays.push(delay)
      }
      assert.deepStrictEqual(delays, [100, 300, 900, 2_000, 2_000])
      assert.deepStrictEqual(world.dead.map(numberOf), [0])
    })
  )
})

describe("the brake", () => {
  it.effect(
    "stops a partition of which more than a fifth of the last keys fail, and lets it go on once they do not",
    () =>
      Effect.gen(function* () {
        const world = new World(() => 1, {})
        for (let n = 0; n < 100; n++) world.send(`k${n}`, n)
        for (let n = 80; n < 100; n++) world.broken.add(n)
        yield* world.batch(100)
        assert.strictEqual(world.parked.size, 20, "a fifth is parked")
        world.broken.add(100)
        world.send("k100", 100)
        const next = world.stream.slice(100)
        const braked = yield* Effect.flip(world.handle(next))
        assert.include(String(braked), "TRP0308")
        assert.include(String(braked), "21 of the last 100 keys failed")
        world.broken.clear()
        world.commit(yield* world.handle(next))
      })
  )

  it.effect("does not hold for what its sender did wrong", () =>
    Effect.gen(function* () {
      const world = new World(() => 1, {})
      for (let n = 0; n < 50; n++) world.send(`k${n}`, 0.5)
      yield* world.batch(50)
      assert.strictEqual(world.dead.length, 50)
      assert.strictEqual(world.dead[0]!.code, "TRP0201")
    })
  )
})

describe("an event that nobody listens to any more", () => {
  it.effect("leaves the line that it waited in", () =>
    Effect.gen(function* () {
      const world = new World(() => 1, {})
      const consumer = Consumer.ofSubscriber(Shop, Subscriber.make("deaf"), 1)
      Object.assign(world, { consumer })
      const headers = Envelope.toHeaders({ id: "e", type: "shop.Till.paid", source: "shop" })
      const one = incoming({ subject: "evt.shop.0.Till.paid.a", headers, data: "{}" })
      const row = { incoming: one, attempts: 1, delay: 1 }
      world.parked.set("a", new Map([[1, row]]))
      world.takeOver()
      yield* world.batch(0)
      assert.strictEqual(world.parked.size, 0)
    })
  )
})

describe("timers that are due together", () => {
  class Alarm extends Contract.actor({
    key: Schema.String,
    commands: { fire: Contract.command({ payload: { n: Schema.Int, cancel: Schema.String, set: Schema.String } }) }
  }) {}
  const Clock = Contract.make("clock", { Alarm })

  /** Has two timers of a key fire in one batch, and says which ran and what is left of timers. */
  const both = (first: { readonly cancel?: string; readonly set?: string }) =>
    Effect.gen(function* () {
      const world = new World(() => 1, {})
      const ran: Array<number> = []
      const actor = Actor.make(Clock.Alarm, { state: Schema.Int, initial: 0 }).commands({
        fire({ cancel, n, set }, self) {
          ran.push(n)
          if (cancel !== "") self.cancelTimer(cancel)
          if (set !== "") self.timer(set, 1_000, Clock.Alarm.at(self.key).fire({ n: 9, cancel: "", set: "" }))
        }
      })
      Object.assign(world, { consumer: Consumer.ofActor(Clock, actor, 1) })
      const timer = (name: string, body: object) => {
        const headers = Envelope.toHeaders({ id: name, type: "clock.Alarm.fire", source: "clock", key: "k" })
        return Stored.timer(
          {
            cp: 0,
            key: "k",
            name,
            stream: "CMD_clock",
            sequence: 0,
            subject: "cmd.clock.Alarm.fire.k",
            headers: JSON.stringify(headers),
            body: new TextEncoder().encode(JSON.stringify({ cancel: "", set: "", ...body })),
            due: 1_000,
            left: 0
          },
          0
        )
      }
      const { work } = yield* world.handle([timer("one", { n: 1, ...first }), timer("two", { n: 2 })])
      const names = (rows: ReadonlyArray<{ readonly name: string }>) => rows.map(({ name }) => name)
      return { ran, cleared: names(work.more.cleared!), set: names(work.more.timers!) }
    })

  it.effect("fire in the order of their times, and are no more", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* both({}), { ran: [1, 2], cleared: ["one", "two"], set: [] })
    })
  )
  it.effect("do not fire once the turn of the first cancelled the second", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* both({ cancel: "two" }), { ran: [1], cleared: ["one", "two"], set: [] })
    })
  )
  it.effect("do not fire once the turn of the first set the second anew", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* both({ set: "two" }), { ran: [1], cleared: ["one"], set: ["two"] })
    })
  )
  it.effect("may set themselves again", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* both({ set: "one" }), { ran: [1, 2], cleared: ["two"], set: ["one"] })
    })
  )
})
