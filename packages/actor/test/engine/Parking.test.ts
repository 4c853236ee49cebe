import { Actor, Subscriber } from "@troupe/actor"
import { assert, describe, it } from "@effect/vitest"
import { Contract, Envelope } from "@troupe/contract"
import { Db } from "@troupe/postgres"
import type { Commit } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import type { Agenda } from "../../src/engine/Agenda.ts"
import * as Batch from "../../src/engine/Batch.ts"
import { Brake } from "../../src/engine/Brake.ts"
import * as Cache from "../../src/engine/Cache.ts"
import * as Consumer from "../../src/engine/Consumer.ts"
import * as Id from "../../src/engine/id.ts"
import { Loader } from "../../src/engine/Loader.ts"
import type { Incoming } from "../../src/engine/Mailbox.ts"
import * as Parking from "../../src/engine/Parking.ts"
import * as Stored from "../../src/engine/Stored.ts"
import { incoming } from "./incoming.ts"

class Till extends Contract.actor({
  key: Schema.String,
  commands: { pay: Contract.command({ payload: { n: Schema.Int } }) }
}) {}
class Strict extends Contract.actor({
  key: Schema.String,
  commands: { pay: Contract.command({ payload: { n: Schema.Int } }) },
  whenDead: "block"
}) {}
const Shop = Contract.make("shop", { Till, Strict })

/** Numbers below 2^32, the same for the same seed (mulberry32). */
const chances = (seed: number) => {
  let state = seed | 0
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

interface Row {
  readonly incoming: Incoming
  attempts: number
  /** Its time comes when the world says so; null: it waits behind another one, or for an operator. */
  delay: number | null
}

/** One partition: what its stream has, what Postgres has, and what its owner knows. Nothing is real but `Batch.handle`. */
class World {
  readonly consumer: Consumer.Consumer
  readonly policy: Parking.Policy
  readonly chance: (below: number) => number
  /** Handlers of these messages fail. */
  readonly broken = new Set<number>()
  readonly stream: Array<Incoming> = []
  cursor = 0
  readonly inbox = new Map<string, Commit.InboxRow>()
  readonly parked = new Map<string, Map<number, Row>>()
  readonly dead: Array<Commit.DeadRow> = []
  /** Turns whose effects are committed, by key. */
  readonly applied = new Map<string, Array<number>>()
  private running: Array<readonly [string, number]> = []
  private known = new Map<string, Parking.Key>()
  readonly brake = new Brake()

  constructor(chance: World["chance"], policy: Partial<Parking.Policy>, strict = false) {
    this.chance = chance
    this.policy = { ...Parking.policy, ...policy }
    const handlers = {
      pay: ({ n }: { readonly n: number }, self: { readonly key: string }) => {
        if (this.broken.has(n)) throw new Error(`${n} is broken`)
        this.running.push([self.key, n])
      }
    }
    const options = { state: Schema.Int, initial: 0 }
    const actor = strict
      ? Actor.make(Shop.Strict, options).commands(handlers)
      : Actor.make(Shop.Till, options).commands(handlers)
    this.consumer = Consumer.ofActor(Shop, actor, 1)
  }

  /** With the same id each time; `caller` waits for the answer. */
  send(key: string, n: number, caller?: string): void {
    const id = `m-${n}`
    const [, actor] = this.consumer.name.split(".") as [string, string]
    const headers = Envelope.toHeaders({
      id,
      type: `${this.consumer.name}.pay`,
      source: "test",
      replyTo: caller === undefined ? undefined : `_INBOX.${caller}.1`
    })
    const one = incoming({ subject: `cmd.shop.0.${actor}.pay.${key}`, headers, data: JSON.stringify({ n }) })
    const seq = this.stream.length + 1
    this.stream.push({ ...one, message: { ...one.message, headers: one.message.headers, seq }, position: { seq, id } })
  }

  /** What the owner would know if it took the partition now. */
  taken(): Map<string, Parking.Key> {
    return new Map(
      [...this.parked].map(([key, rows]) => [
        key,
        {
          head: Math.min(...rows.keys()),
          next: Math.max(...rows.keys()) + 1,
          count: rows.size,
          bytes: [...rows.values()].reduce((sum, row) => sum + Stored.sizeOf(row.incoming), 0)
        }
      ])
    )
  }
  takeOver(): void {
    this.known = this.taken()
  }

  /** The first messages of some parked keys, but for those that wait for an operator. */
  private due(): ReadonlyArray<Incoming> {
    return [...this.parked].flatMap(([, rows]) => {
      if (this.chance(3) === 0) return []
      const page = [...rows].sort(([one], [other]) => one - other).slice(0, 1 + this.chance(4))
      const end = page.findIndex(([, { attempts, delay }]) => attempts > 0 && delay === null)
      return page.slice(0, end < 0 ? page.length : end).map(([n, { attempts, incoming }]): Incoming => ({
        stream: incoming.stream,
        message: incoming.message,
        waited: { kind: "parked", key: keyOf(incoming), n, attempts }
      }))
    })
  }

  /** One batch: what is due and what is read next; its owner may crash before the commit. */
  batch(read: number, crash = false) {
    const batch = [...this.due(), ...this.stream.slice(this.cursor, this.cursor + read)]
    return Effect.gen({ self: this }, function* () {
      this.running = []
      const handled = yield* this.handle(batch)
      if (crash) return void this.takeOver()
      this.commit(handled)
      return handled
    })
  }

  handle(batch: ReadonlyArray<Incoming>) {
    const agenda = {
      policy: this.policy,
      size: this.known.size,
      key: (token) => this.known.get(token)
    } as Partial<Agenda> as Agenda
    const fence = { consumer: 1, p: 0, token: "", n: 0 }
    const memory: Batch.Memory = {
      fence,
      pos: 0,
      cursors: { CMD_shop: { seq: this.cursor, id: "" } },
      cache: Cache.make({ entries: 100, size: 10_000 }),
      agenda,
      brake: this.brake,
      wary: 0
    }
    const options = { maxPayload: 1_000_000, transaction: false, check: true, watermarks: () => [] }
    return Batch.handle(this.consumer, memory, batch, options).pipe(
      Effect.provideService(
        Loader,
        Loader.of({
          load: ({ behind, ids }) =>
            Effect.succeed({
              copies: behind.flatMap(({ id, key }) =>
                [...(this.parked.get(key)?.values() ?? [])].flatMap(({ incoming: { message } }) => {
                  const headers = Object.fromEntries(message.headers)
                  return (headers["ce-id"] ?? "") === id ? [{ id, key, headers: JSON.stringify(headers) }] : []
                })
              ),
              inbox: new Map(ids.flatMap((id) => (this.inbox.has(id) ? [[id, this.inbox.get(id)!]] : []))),
              states: new Map()
            })
        })
      ),
      Effect.provideService(Db, undefined as never),
      Effect.provideService(References.MinimumLogLevel, "None")
    )
  }

  /** As `commit_v2` does it; then what the owner knows is what one that takes over would. */
  commit({ parked: changes, work: { cursors, inbox, more } }: Batch.Handled): void {
    this.cursor = cursors["CMD_shop"]!.seq
    for (const row of inbox) {
      assert.isFalse(this.inbox.has(row.id), "handled twice")
      this.inbox.set(row.id, row)
    }
    for (const { key, n } of more.unparked!) {
      assert.isTrue(this.parked.get(key)!.delete(n))
      if (this.parked.get(key)!.size === 0) this.parked.delete(key)
    }
    for (const { attempts, delay, key, n, sequence } of more.parked!) {
      const rows = this.parked.get(key) ?? new Map<number, Row>()
      assert.isFalse(rows.has(n))
      this.parked.set(key, rows.set(n, { incoming: this.stream[sequence - 1]!, attempts, delay }))
    }
    for (const { attempts, delay, key, n } of more.retried!)
      Object.assign(this.parked.get(key)!.get(n)!, { attempts, delay })
    this.dead.push(...more.dead!)
    for (const [key, n] of this.running) this.applied.set(key, [...(this.applied.get(key) ?? []), n])
    for (const [token, { key }] of changes) {
      if (key === undefined) this.known.delete(token)
      else this.known.set(token, key)
    }
    const taken = this.taken()
    for (const [token, key] of this.known) {
      const { head, ...rest } = taken.get(token)!
      assert.deepStrictEqual({ ...key, head }, { head, ...rest, next: key.next })
      assert.isAtLeast(key.next, rest.next)
      if (key.head !== undefined) assert.strictEqual(key.head, head)
    }
    assert.strictEqual(this.known.size, taken.size)
  }
}

const keyOf = ({ message }: Incoming): string => message.subject.split(".")[5]!
const numberOf = ({ body }: { readonly body: Uint8Array }): number => JSON.parse(new TextDecoder().decode(body)).n

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
