import { assert, describe, it } from "@effect/vitest"
import { AlreadyPlaced, type Line, OutOfStock, Receipt } from "@shop/orders"
import { Client } from "@troupe/client"
import type { Message } from "@troupe/contract"
import * as Effect from "effect/Effect"
import { place } from "../src/load.ts"
import * as Plan from "../src/plan.ts"

/** A shop without servers: `answer` says what the message gets, asked for the nth time; `asked` counts by message id. */
const shop = (answer: (nth: number) => Effect.Effect<Receipt, AlreadyPlaced>) => {
  const asked = new Map<string, number>()
  const ask = (message: Message, { id = "" } = {}) => {
    const nth = (asked.get(id) ?? 0) + 1
    asked.set(id, nth)
    const { lines } = message.payload as { readonly lines: readonly [Line] }
    return lines[0].sku === "unobtainium" ? Effect.fail(new OutOfStock({ sku: "unobtainium" })) : answer(nth)
  }
  const unused = () => assert.fail("not used")
  return { asked, client: Client.of({ ask, send: unused, subscribe: unused } as never) }
}
const plan = Plan.make("run")

describe("the load", () => {
  it.effect("acknowledges what got a receipt, and counts what was out of stock apart", () =>
    Effect.gen(function* () {
      const { asked, client } = shop(() => Effect.succeed(new Receipt({ cents: 900 })))
      let done = 0
      const placed = yield* place(plan, (n) => Effect.sync(() => (done = n))).pipe(
        Effect.provideService(Client, client)
      )
      assert.deepStrictEqual(
        [placed.acknowledged.length, placed.outOfStock, placed.sentTwice, done],
        [980, 20, 50, 1_000]
      )
      assert.strictEqual([...asked.values()].filter((times) => times === 2).length, 50)
      assert.strictEqual(asked.size, 1_000)
    })
  )

  const broken = {
    "gets two receipts": (nth: number) => Effect.succeed(new Receipt({ cents: 900 * nth })),
    "is refused because of itself": (nth: number) =>
      nth === 1 ? Effect.succeed(new Receipt({ cents: 900 })) : Effect.fail(new AlreadyPlaced())
  }
  for (const [what, answer] of Object.entries(broken)) {
    it.effect(`fails when a message that is sent twice ${what}`, () =>
      Effect.gen(function* () {
        const { client } = shop(answer)
        const error = yield* place(plan, () => Effect.void).pipe(Effect.provideService(Client, client), Effect.flip)
        assert.strictEqual(error._tag, "HandledTwice")
        assert.include(error.message, "was handled twice")
      })
    )
  }
})
