import { assert, describe, it } from "@effect/vitest"
import { Declaration } from "../src/index.ts"

describe("what to declare", () => {
  it("is the whole line, by the names that packages export", () => {
    assert.strictEqual(
      Declaration.ofPart("help-desk.Desk", ["shop.Cart"]),
      "add sends: [Shop.Cart, HelpDesk.Desk] to the part, and allow: { send: [HelpDesk] } to a service that is another one"
    )
    assert.strictEqual(
      Declaration.ofCaller("cmd.orders.Order.place.o-1"),
      "add sends: [Orders.Order.commands.place] to its Caller"
    )
    for (const subject of ["$JS.API.STREAM.INFO.EVT_orders", "JS.orders.API.CONSUMER.CREATE.EVT_orders.c.evt.orders.>"])
      assert.strictEqual(Declaration.ofCaller(subject), "add hears: [Orders] to its Caller")
    for (const subject of ["_INBOX.a.b", "evt.orders.Order.placed.k", "$JS.API.STREAM.INFO.CMD_orders", "cmd.orders"])
      assert.isUndefined(Declaration.ofCaller(subject))
  })
})
