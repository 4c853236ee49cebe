import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Place from "../src/internal/Place.ts"

const number = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 50 }))
const entry = Schema.Struct({
  service: Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9-]{0,39}$/)),
  place: Schema.Struct({ created: number, seq: number, at: number }),
  messageId: Schema.String
})
const entries = Schema.Array(entry).check(Schema.isMinLength(1), Schema.isMaxLength(5))

describe("a place as text", () => {
  it.prop("is read back as it was, whatever it is of", [entries], ([entries]) => {
    const places = new Map(
      entries.map(({ messageId, place, service }) => [
        service,
        { ...place, id: messageId === "" ? "" : Place.idOf(messageId) }
      ])
    )
    const text = Place.format(places)
    assert.deepStrictEqual(Place.parse(text), places)
    assert.strictEqual(encodeURIComponent(text), text)
    assert.isAtMost(text.length, places.size * 90)
  })

  it("is nothing else", () => {
    for (const text of [
      "",
      "now",
      "orders",
      "orders.1.2.3",
      "orders.1.2.3.4.5",
      "Orders.1.2.3.4",
      "orders.-1.2.3.4",
      "a.1.2.3.4~",
      `a.${"z".repeat(11)}.1.1.1`
    ])
      assert.isUndefined(Place.parse(text), text)
  })
})
