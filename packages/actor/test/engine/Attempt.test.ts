import { Actor, Subscriber } from "@troupe/actor"
import { assert, describe, it } from "@effect/vitest"
import { Envelope, type Event, Json, Key } from "@troupe/contract"
import type { Db } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Attempt from "../../src/engine/Attempt.ts"
import * as Consumer from "../../src/engine/Consumer.ts"
import * as Delivery from "../../src/engine/Delivery.ts"
import { Bank, Shop } from "../till.ts"
import { incoming } from "./incoming.ts"

/** No handler here asks for `Db`. */
const transact = <A, E>(turn: Effect.Effect<A, E, Db>) => turn as Effect.Effect<A, E>

describe("the event that a subscriber's handler gets", () => {
  const { paid } = Shop.Till.events
  const hear = Effect.fnUntraced(function* (envelope: Partial<Envelope.Envelope>) {
    const heard: Array<Event> = []
    const subscriber = Subscriber.make("journal").on(paid, (event, self) => {
      assert.isUndefined(self.state)
      heard.push(event)
    })
    const consumer = Consumer.ofSubscriber(Shop, subscriber, 1)
    const headers = Envelope.toHeaders({ id: "e-1", type: paid.type, source: "shop", version: 2, ...envelope })
    const data = '{"cents":5,"currency":"EUR"}'
    const message = incoming({ subject: "evt.shop.3.Till.paid.t-1", headers, data, time: 7 })
    const delivery = Delivery.open(consumer, message)
    if (delivery === undefined || "code" in delivery) return assert.fail(delivery?.why)
    const done = yield* Attempt.run(
      consumer,
      delivery,
      consumer.initial,
      1_000_000,
      Attempt.here(consumer, subscriber),
      transact
    )
    assert.deepStrictEqual([done.dead, done.state, done.staged, done.outcome], [undefined, undefined, [], null])
    return heard
  })

  it.effect("says what happened, to what, when, and where in which lane", () =>
    Effect.gen(function* () {
      const time = "2026-01-01T00:00:00.000Z"
      assert.deepStrictEqual(yield* hear({ time, position: 17, correlationId: "c-1", causationId: "m-1" }), [
        {
          type: "shop.Till.paid",
          key: "t-1",
          payload: { cents: 5, currency: "EUR" },
          id: "e-1",
          time,
          lane: "shop.Till",
          position: 17,
          correlationId: "c-1",
          causationId: "m-1"
        }
      ])
    })
  )

  it.effect("began its own conversation, when its sender says no other", () =>
    Effect.gen(function* () {
      const [event] = yield* hear({})
      assert.strictEqual(event?.time, "1970-01-01T00:00:00.007Z")
      assert.strictEqual(event?.correlationId, "e-1")
      assert.isUndefined(event?.causationId)
    })
  )
})

describe("a timer, encoded", () => {
  type Self = Parameters<Parameters<ReturnType<typeof till>["commands"]>[0]["close"]>[1]
  const till = () => Actor.make(Shop.Till, { state: Schema.Int, initial: 0, sends: [Bank.Safe] })
  /** What the turn of `close` to the till `t 1` is encoded as. */
  const close = (handler: (self: Self) => void, maxPayload = 1_000_000) =>
    Effect.suspend(() => {
      const part = till().commands({ pay: () => 0, close: (_, self) => handler(self) })
      const consumer = Consumer.ofActor(Shop, part, 1)
      const headers = Envelope.toHeaders({
        id: "m-1",
        type: "shop.Till.close",
        source: "a shop",
        time: "2026-01-01T00:00:00.000Z",
        correlationId: "c-1"
      })
      const message = incoming({ subject: "cmd.shop.3.Till.close.t%201", headers, data: "{}" })
      const delivery = Delivery.open(consumer, message)
      if (delivery === undefined || "code" in delivery) return assert.fail(delivery?.why)
      return Attempt.run(consumer, delivery, 0, maxPayload, Attempt.here(consumer, part), transact)
    })
  const put = Bank.Safe.at("s-1").put({ cents: 1 })

  it.effect("is a row of the key that set it: the message as it will be sent, but for its time", () =>
    Effect.gen(function* () {
      const done = yield* close((self) => {
        self.send(put)
        self.timer("late", "1 minute", put)
        self.cancelTimer("other")
      })
      const [{ id, ...row }] = done.timers as [(typeof done.timers)[number]]
      assert.deepStrictEqual(row, {
        key: Key.encode("t 1")!,
        name: "late",
        delay: 60_000,
        stream: "CMD_bank",
        subject: "cmd.bank.Safe.put.s-1",
        headers: row.headers,
        body: '{"cents":1}'
      })
      const headers = JSON.parse(row.headers)
      const { "ce-time": time, ...sent } = done.staged[0]!.headers
      assert.isDefined(time)
      assert.deepStrictEqual(headers, { ...sent, "ce-id": id })
      const read = Envelope.fromHeaders((name) => headers[name])
      assert.deepInclude(read, { id, type: "bank.Safe.put", key: "s-1", correlationId: "c-1", causationId: "m-1" })
      assert.notProperty(read, "time")
      assert.deepStrictEqual(done.cleared, [{ key: "t%201", name: "other" }])
      assert.strictEqual(done.staged.length, 1)
    })
  )

  it.effect("has the same id when the turn runs again; delayed sends have names of their own", () =>
    Effect.gen(function* () {
      const turn = close((self) => {
        self.send(put, { after: 1 })
        self.send(put, { after: 1 })
        self.timer("late", 1, Shop.Till.at(self.key).close())
      })
      const { timers } = yield* turn
      assert.deepStrictEqual((yield* turn).timers, timers)
      assert.strictEqual(new Set(timers.map(({ id }) => id)).size, 3)
      assert.deepStrictEqual(
        timers.map(({ name }) => name),
        [`~${timers[0]!.id}`, `~${timers[1]!.id}`, "late"]
      )
    })
  )

  const zeros = Array.from({ length: 50_000 }, () => 0)
  const wrong: Record<
    string,
    readonly [handle: (self: Self) => void, code: string, reason: RegExp, maxPayload?: number]
  > = {
    "over max_payload": [
      (self) => self.timer("t", 1, put),
      "TRP0303",
      /^bank\.Safe\.put: \d+ bytes, over max_payload/,
      1_100
    ],
    "to an actor that is not listed": [
      (self) => self.timer("t", 1, { ...put, to: "x.Y.z", target: { ...put.target, service: "x" } } as never),
      "TRP0303",
      /^x\.Y\.z: it is not declared: add sends: \[Bank\.Safe, X\.Safe\] to the part, and allow: \{ send: \[X\] \}/
    ],
    "with a payload that is none": [
      (self) => self.send(Bank.Safe.at("s-1").put({ cents: 0.5 }), { after: 1 }),
      "TRP0303",
      /^bank\.Safe\.put: Expected an integer/
    ],
    "with more JSON values than its receiver decodes": [
      (self) =>
        self.send({ ...put, payload: zeros, target: { ...put.target, payload: Json.make(Schema.Unknown) } } as never),
      "TRP0303",
      /^bank\.Safe\.put: it has more than 50000 values/
    ],
    "with a delay that is none": [(self) => self.timer("t", -1, put), "TRP0301", /-1 ms is no delay for a timer/],
    "with a name that is none": [(self) => self.cancelTimer("~x"), "TRP0301", /"~x" is no name for a timer/]
  }
  it.effect.each(Object.entries(wrong))(
    "is refused, and nothing of its turn kept: %s",
    ([, [handle, code, reason, maxPayload]]) =>
      Effect.gen(function* () {
        const done = yield* close((self) => {
          self.cancelTimer("other")
          handle(self)
        }, maxPayload)
        assert.strictEqual(done.dead?.code, code)
        assert.match(done.dead?.reason ?? "", reason)
        assert.deepStrictEqual([done.timers, done.cleared], [[], []])
      })
  )
})
