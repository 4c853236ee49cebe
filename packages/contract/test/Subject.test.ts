import { assert, describe, it } from "@effect/vitest"
import { Key, Subject } from "@troupe/contract"
import * as Schema from "effect/Schema"

describe("a subject", () => {
  it("names the stream, what it takes and what it keeps", () => {
    assert.strictEqual(Subject.stream("evt", "orders"), "EVT_orders")
    assert.strictEqual(Subject.published("cmd", "orders", "Order", "place", "o-1"), "cmd.orders.Order.place.o-1")
    assert.strictEqual(Subject.accepted("cmd", "orders"), "cmd.orders.*.*.*")
    assert.strictEqual(
      Subject.transformed("evt", "orders", 16),
      "evt.orders.{{partition(16,3)}}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}"
    )
    assert.strictEqual(Subject.filter("evt", "orders", 3), "evt.orders.3.>")
    assert.strictEqual(Subject.filter("evt", "orders", 3, "Order"), "evt.orders.3.Order.>")
  })

  it.prop("is read as it was stored", [Schema.NonEmptyString.check(Schema.isMaxLength(60)), Schema.Int], ([key, n]) => {
    const token = Key.encode(key)
    const partition = Math.abs(n % 1024)
    if (token === undefined) return
    assert.deepStrictEqual(Subject.parse(`evt.orders.${partition}.Order.placed.${token}`), {
      kind: "evt",
      service: "orders",
      partition,
      actor: "Order",
      name: "placed",
      key
    })
  })

  it("is refused when it is not as the stream keeps it", () => {
    const wrong = [
      "evt.orders.Order.placed.o-1",
      "evt.orders.1.Order.placed.o-1.more",
      "log.orders.1.Order.placed.o-1",
      "evt.orders.x.Order.placed.o-1",
      "evt.orders.01.Order.placed.o-1",
      "evt.orders.1e1.Order.placed.o-1",
      "evt.orders.-1.Order.placed.o-1",
      "evt.orders..Order.placed.o-1",
      "evt.orders.1.Order.placed.%41",
      "evt.orders.1.Order.placed.",
      ""
    ]
    for (const subject of wrong) assert.isUndefined(Subject.parse(subject), subject)
  })
})
