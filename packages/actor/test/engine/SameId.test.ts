import { Actor } from "@troupe/actor"
import { assert, it } from "@effect/vitest"
import { Contract, Envelope } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Consumer from "../../src/engine/Consumer.ts"
import { TooMuch } from "../../src/engine/TooMuch.ts"
import { handled } from "./handled.ts"
import { incoming } from "./incoming.ts"

class Till extends Contract.actor({
  key: Schema.String,
  commands: { pay: Contract.command({ payload: {} }) },
  events: { paid: Contract.event({}) }
}) {}
const Shop = Contract.make("shop", { Till })

it.live("an id that two keys use at once never keeps a state without its events", () =>
  Effect.gen(function* () {
    const actor = Actor.make(Shop.Till, { state: Schema.Int, initial: 0 }).commands({
      pay: async (_, self) => {
        await new Promise((resolve) => setTimeout(resolve, 10))
        self.set(self.state + 1)
        self.emit.paid()
      }
    })
    const consumer = Consumer.ofActor(Shop, actor, 1)
    const headers = Envelope.toHeaders({ id: "same", type: "shop.Till.pay", source: "test" })
    const items = ["a", "b"].map((key) => incoming({ subject: `cmd.shop.0.Till.pay.${key}`, headers, data: "{}" }))
    const result = yield* Effect.result(handled(consumer, items))
    // One after the other, the inbox tells the second one from the first.
    if (result._tag === "Failure") return assert.instanceOf(result.failure, TooMuch)
    const { outbox, states } = result.success.work
    assert.strictEqual(states.length, outbox.length)
  })
)
