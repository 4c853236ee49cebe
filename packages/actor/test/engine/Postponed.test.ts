import { Actor } from "@troupe/actor"
import { assert, it } from "@effect/vitest"
import { Contract, Envelope } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Consumer from "../../src/engine/Consumer.ts"
import { handled } from "./handled.ts"
import { incoming } from "./incoming.ts"

class Till extends Contract.actor({
  key: Schema.String,
  commands: { pay: Contract.command({ payload: {} }) },
  events: {}
}) {}
const Shop = Contract.make("shop", { Till })

it.live("messages of a key whose state is not read yet wait, in order, and the others are handled", () =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    const actor = Actor.make(Shop.Till, { state: Schema.Int, initial: 0 }).commands({
      pay: (_, self) => void seen.push(self.key)
    })
    const items = ["a", "b", "a", "c", "b"].map((key, i) => {
      const headers = Envelope.toHeaders({ id: `${i}`, type: "shop.Till.pay", source: "test" })
      const one = incoming({ subject: `cmd.shop.0.Till.pay.${key}`, headers, data: "{}" })
      return { ...one, message: { ...one.message, seq: i + 1 }, position: { seq: i + 1, id: `${i}` } }
    })
    const { left, work } = yield* handled(Consumer.ofActor(Shop, actor, 1), items, new Set(["b"]))
    assert.deepStrictEqual(seen.sort(), ["a", "a", "c"])
    assert.deepStrictEqual(work.cursors["CMD_shop"]?.seq, 1, "up to the first that waits")
    assert.deepStrictEqual(
      left.map(({ position }) => position?.seq),
      [2, 3, 4, 5]
    )
    assert.deepStrictEqual(
      left.flatMap((item) => ("message" in item ? [item.message.seq] : [])),
      [2, 5],
      "of what is done only its place is left"
    )
  })
)
