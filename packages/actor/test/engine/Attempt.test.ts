import { Subscriber } from "@troupe/actor"
import { assert, describe, it } from "@effect/vitest"
import { Envelope, type Event } from "@troupe/contract"
import type { Db } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Attempt from "../../src/engine/Attempt.ts"
import * as Consumer from "../../src/engine/Consumer.ts"
import * as Delivery from "../../src/engine/Delivery.ts"
import { Shop } from "../till.ts"
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
    const done = yield* Attempt.run(consumer, delivery, consumer.initial, 1_000_000, transact)
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
