import { Actor, type Subscriber, Turn } from "@troupe/actor"
import { assert, describe, it } from "@effect/vitest"
import type { Event } from "@troupe/contract"
import type { Db } from "@troupe/postgres"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { Bank, bookkeeper, Broke, Shop, tills } from "./till.ts"

const input = { id: "01900000-0000-7000-8000-000000000000", key: "t-1", now: Date.UTC(2026, 0, 1) }

/** No handler here asks for `Db`. */
const pure = <A>(turn: Effect.Effect<A, never, Db>) => turn as Effect.Effect<A>
const pay = (till: Actor.AnyActor, cents: number, before = 10) => pure(Turn.take(till, before, "pay", { cents }, input))

type Self = Parameters<Parameters<ReturnType<typeof closing>["commands"]>[0]["close"]>[1]
const closing = () => Actor.make(Shop.Till, { state: Schema.Int, initial: 0, sends: [Bank.Safe] })
/** Runs a turn whose handler is `close`. */
const close = (handler: (self: Self) => unknown, how = input) =>
  pure(
    Turn.take(
      closing().commands({ pay: () => 0, close: (_, self) => handler(self) as Effect.Effect<void> }),
      10,
      "close",
      {},
      how
    )
  )

describe.each(Object.entries(tills))("a handler written as %s", (_, till) => {
  it.effect("stages its state, its events, its commands and its reply", () =>
    Effect.gen(function* () {
      const turn = yield* pay(till, 5)
      assert.deepStrictEqual(turn, {
        state: 15,
        changed: true,
        reply: 15,
        error: undefined,
        staged: [
          { kind: "event", name: "paid", payload: { cents: 5, currency: "EUR" } },
          { kind: "command", message: Bank.Safe.at("t-1").put({ cents: 5 }) }
        ]
      })
      assert.deepStrictEqual(Turn.sentBy(turn), [Bank.Safe.at("t-1").put({ cents: 5 })])
      assert.deepStrictEqual(Turn.eventsOf(turn, "shop.Till", "t-1"), [
        Shop.Till.events.paid.from("t-1", { cents: 5, currency: "EUR" })
      ])
    })
  )

  it.effect("keeps nothing of a turn that it refuses", () =>
    Effect.gen(function* () {
      const { error, ...rest } = yield* pay(till, -5)
      assert.deepStrictEqual(error, new Broke({ cents: -5 }))
      assert.deepStrictEqual(rest, { state: 10, changed: false, reply: undefined, staged: [] })
    })
  )

  it.effect("says nothing of a state that it did not set, and emits an event without payload", () =>
    Effect.gen(function* () {
      const { changed, staged, state } = yield* pure(Turn.take(till, 10, "close", {}, input))
      assert.deepStrictEqual({ changed, state }, { changed: false, state: 10 })
      assert.deepStrictEqual(staged, [{ kind: "event", name: "closed", payload: {} }])
    })
  )
})

describe("a refusal by `self.fail`", () => {
  const styles: Record<string, (self: Self) => unknown> = {
    generator: function* (self) {
      self.emit.closed()
      yield* Effect.void
      self.fail(new Broke({ cents: 1 }))
    },
    effect: (self) =>
      Effect.sync(() => {
        self.emit.closed()
        self.timer("t", 1, Shop.Till.at("t-1").close())
        self.cancelTimer("other")
        self.fail(new Broke({ cents: 1 }))
      })
  }
  it.effect.each(Object.entries(styles))("also stops a handler written as %s", ([, handler]) =>
    Effect.gen(function* () {
      const turn = yield* close(handler)
      assert.deepStrictEqual(turn.error, new Broke({ cents: 1 }))
      assert.deepStrictEqual(turn.staged, [])
    })
  )
})

describe("a defect of a handler", () => {
  const bug = new Error("bug")
  const defects: Record<string, (self: Self) => unknown> = {
    generator: function* () {
      yield* Effect.void
      throw bug
    },
    effect: () => Effect.die(bug),
    async: () => Promise.reject(bug),
    plain: () => {
      throw bug
    }
  }
  it.effect.each(Object.entries(defects))("stays one: %s", ([, handler]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Effect.exit(close(handler)), Exit.die(bug))
    })
  )

  it.effect("is what a command or an event without handler is", () =>
    Effect.gen(function* () {
      const command = yield* Effect.exit(pure(Turn.take(tills.plain, 0, "open", {}, input)))
      const event = yield* Effect.exit(pure(Turn.hear(bookkeeper, 0, { ...paid, type: "shop.Till.closed" }, input)))
      assert.deepStrictEqual(command, Exit.die(new Error("shop.Till has no handler for open")))
      assert.deepStrictEqual(event, Exit.die(new Error("bookkeeper does not listen to shop.Till.closed")))
    })
  )
})

describe("a handler that goes on after its turn", () => {
  const late = (self: Self) => ({
    set: () => self.set(1),
    emit: () => self.emit.closed(),
    send: () => self.send(Bank.Safe.at("t-1").put({ cents: 1 })),
    sendLater: () => self.send(Bank.Safe.at("t-1").put({ cents: 1 }), { after: 1 }),
    timer: () => self.timer("t", 1, Bank.Safe.at("t-1").put({ cents: 1 })),
    cancelTimer: () => self.cancelTimer("t")
  })
  const ends: Record<string, (self: Self) => void> = {
    succeeded: () => {},
    refused: (self) => self.fail(new Broke({ cents: 1 })),
    failed: () => {
      throw new Error("bug")
    }
  }
  it.effect.each(Object.entries(ends))("cannot stage anything: the turn %s", ([, end]) =>
    Effect.gen(function* () {
      let kept: Self | undefined
      const exit = yield* Effect.exit(
        close((self) => {
          kept = self
          self.set(20)
          end(self)
        })
      )
      assert.isDefined(kept)
      const before = JSON.stringify(exit)
      for (const stage of Object.values(late(kept))) assert.throws(stage, "the turn is over")
      assert.strictEqual(JSON.stringify(exit), before)
    })
  )
})

describe("timers", () => {
  const put = (cents: number) => Bank.Safe.at("t-1").put({ cents })
  const fine = (handler: (self: Self) => void) => Effect.exit(close(handler))

  it.effect("are staged in order with everything else; a delayed send is one without a name", () =>
    Effect.gen(function* () {
      const turn = yield* close((self) => {
        self.timer("late", "15 minutes", put(1))
        self.emit.closed()
        self.send(put(2), { after: { hours: 1 } })
        self.send(put(3))
        self.cancelTimer("other")
        self.timer("own", 0, Shop.Till.at(self.key).close())
      })
      assert.deepStrictEqual(turn.staged, [
        { kind: "timer", name: "late", delay: 900_000, message: put(1) },
        { kind: "event", name: "closed", payload: {} },
        { kind: "timer", name: undefined, delay: 3_600_000, message: put(2) },
        { kind: "command", message: put(3) },
        { kind: "cancel", name: "other" },
        { kind: "timer", name: "own", delay: 0, message: Shop.Till.at("t-1").close() }
      ])
      assert.deepStrictEqual(Turn.sentBy(turn), [put(3)])
      assert.deepStrictEqual(Turn.cancelledBy(turn), ["other"])
      assert.deepStrictEqual(
        Turn.timersOf(turn).map(({ name }) => name),
        ["late", undefined, "own"]
      )
    })
  )

  it.effect("of one name: the last counts; delayed sends are each their own", () =>
    Effect.gen(function* () {
      const turn = yield* close((self) => {
        self.timer("set twice", 1, put(1))
        self.timer("cancelled", 1, put(2))
        self.cancelTimer("set again")
        self.timer("set twice", 2, put(3))
        self.cancelTimer("cancelled")
        self.timer("set again", 3, put(4))
        self.send(put(5), { after: 4 })
        self.send(put(5), { after: 4 })
      })
      assert.deepStrictEqual(turn.staged, [
        { kind: "timer", name: "set twice", delay: 2, message: put(3) },
        { kind: "cancel", name: "cancelled" },
        { kind: "timer", name: "set again", delay: 3, message: put(4) },
        { kind: "timer", name: undefined, delay: 4, message: put(5) },
        { kind: "timer", name: undefined, delay: 4, message: put(5) }
      ])
    })
  )

  it.effect.each(["", "~own", "a\0b", "\ud800", "n".repeat(201), 1 as never])("refuse the name %j", (name) =>
    Effect.gen(function* () {
      for (const stage of [(self: Self) => self.timer(name, 1, put(1)), (self: Self) => self.cancelTimer(name)]) {
        const exit = yield* fine(stage)
        assert.isTrue(Exit.isFailure(exit))
        assert.match(String(exit), /is no name for a timer: 1 to 200 characters/)
      }
    })
  )

  const wrong = [-1, Number.NaN, "Infinity", "-1 seconds", { weeks: 600 }] as const
  it.effect.each(wrong)("refuse the delay %j", (delay) =>
    Effect.gen(function* () {
      for (const stage of [
        (self: Self) => self.timer("t", delay, put(1)),
        (self: Self) => self.send(put(1), { after: delay })
      ]) {
        const exit = yield* fine(stage)
        assert.isTrue(Exit.isFailure(exit))
        assert.match(String(exit), /is no delay for a timer: from 0 to 10 years/)
      }
    })
  )

  it.effect("take ten years, and a name of 200 characters", () =>
    fine((self) => self.timer("n".repeat(200), "3650 days", put(1))).pipe(
      Effect.map((exit) => assert.isTrue(Exit.isSuccess(exit)))
    )
  )
})

describe("what a handler knows", () => {
  it.effect("is the message's id, key and time, and the state so far", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      yield* close((self) => {
        seen.push(self.messageId, self.key, self.now, self.state)
        self.set(11)
        seen.push(self.state)
      })
      assert.deepStrictEqual(seen, [input.id, input.key, input.now, 10, 11])
    })
  )

  it.effect("is a clock that stands at the message's time", () =>
    Effect.gen(function* () {
      const times: Array<unknown> = []
      yield* close(function* (self) {
        times.push(self.now, yield* Clock.currentTimeMillis, yield* Clock.currentTimeNanos)
      })
      assert.deepStrictEqual(times, [input.now, input.now, BigInt(input.now) * 1_000_000n])
    })
  )

  it.live("is a clock whose sleeps end", () =>
    Effect.gen(function* () {
      let woken = 0
      yield* close(function* () {
        yield* Effect.sleep(1)
        woken = yield* Clock.currentTimeMillis
      })
      assert.strictEqual(woken, input.now)
    })
  )

  const draws = Effect.fnUntraced(function* (id: string) {
    const drawn: Array<number> = []
    yield* close(
      function* (self) {
        for (let n = 0; n < 50; n++) drawn.push(self.random(), yield* Random.next, yield* Random.nextInt)
      },
      { ...input, id }
    )
    return drawn
  })

  it.effect("is a random sequence: the same for the same message, another for another", () =>
    Effect.gen(function* () {
      const first = yield* draws("m-1")
      assert.deepStrictEqual(yield* draws("m-1"), first)
      const others = yield* Effect.forEach(["m-2", "m-3", "m-10", ""], draws)
      const all = [first, ...others].flat()
      assert.strictEqual(new Set(all).size, all.length)
    })
  )

  it.effect("is a random sequence that never changes: the code may be newer when the turn runs again", () =>
    Effect.gen(function* () {
      const drawn: Array<number> = []
      yield* close((self) => {
        for (let n = 0; n < 3; n++) drawn.push(self.random())
      })
      assert.deepStrictEqual(drawn, [0.23405720107257366, 0.3884387593716383, 0.5017740931361914])
    })
  )

  it.effect("is random numbers from 0 up to 1, evenly", () =>
    Effect.gen(function* () {
      const tenths = Array.from({ length: 10 }, () => 0)
      yield* close((self) => {
        for (let n = 0; n < 10_000; n++) tenths[Math.floor(self.random() * 10)]!++
      })
      // Each tenth gets 1,000 of 10,000; five standard deviations are 150.
      assert.strictEqual(tenths.length, 10)
      for (const count of tenths) assert.closeTo(count, 1_000, 150)
    })
  )
})

const paid: Event = {
  type: "shop.Till.paid",
  key: "t-1",
  payload: { cents: 5, currency: "EUR" },
  id: input.id,
  time: "2026-01-01T00:00:00.000Z",
  lane: "shop.Till",
  position: 7,
  correlationId: "c-1",
  causationId: undefined
}

describe("a turn of a subscriber", () => {
  it.effect("gets the event as it is, and stages like an actor's", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* pure(Turn.hear(bookkeeper, 10, paid, input)), {
        state: 15,
        changed: true,
        reply: undefined,
        error: undefined,
        staged: [{ kind: "command", message: Bank.Safe.at("t-1").put({ cents: 5 }) }]
      })
      const heard: Array<unknown> = []
      const handlers: Subscriber.AnySubscriber["handlers"] = new Map([
        [paid.type, { event: Shop.Till.events.paid, handle: (event) => heard.push(event) }]
      ])
      yield* pure(Turn.hear({ ...bookkeeper, handlers }, 10, paid, input))
      assert.deepStrictEqual(heard, [paid])
    })
  )
})

describe("the state that a handler gets", () => {
  class Basket extends Schema.Class<Basket>("Basket")({ items: Schema.Array(Schema.String), at: Schema.Date }) {}
  const basket = new Basket({ items: ["tea"], at: new Date(0) })
  const keeper = (change: (basket: Basket) => unknown) =>
    Actor.make(Shop.Till, { state: Basket, initial: basket }).commands({
      pay: () => 0,
      close: (_, self) => void change(self.state)
    })
  const changes: Record<string, (basket: Basket) => unknown> = {
    "a field": (basket) => Object.assign(basket, { items: [] }),
    "what is nested": (basket) => (basket.items as Array<string>).push("milk")
  }

  it.effect.each(Object.entries(changes))("cannot be changed in place: %s", ([, change]) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(pure(Turn.take(keeper(change), basket, "close", {}, input)))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(basket.items, ["tea"])
    })
  )
})
