import { assert, describe, it } from "@effect/vitest"
import { Id } from "@troupe/contract"
import * as Schema from "effect/Schema"

describe("the id under which a message is published that nobody waits for", () => {
  it("is the same for the same message only", () => {
    const one = Id.published("a", "cmd.shop.Cart.add.k", '{"n":1}')
    assert.strictEqual(Id.published("a", "cmd.shop.Cart.add.k", '{"n":1}'), one)
    const all = new Set([one])
    for (let n = 0; n < 100_000; n++) all.add(Id.published("a", "cmd.shop.Cart.add.k", `{"n":${n}}`))
    for (let n = 0; n < 100_000; n++) all.add(Id.published("a", `cmd.shop.Cart.add.${n}`, '{"n":1}'))
    assert.strictEqual(all.size, 200_000)
  })

  it.prop("says the id that it is of", [Schema.String, Schema.String], ([id, body]) => {
    assert.strictEqual(Id.ofPublished(Id.published(id, "cmd.shop.Cart.add.k", body)), id)
  })

  it("is told from the id of an ask, and of one that asks again", () => {
    assert.strictEqual(Id.ofPublished("0b0d7a52-3a52-4a0e-8a3e-7d6c0f7f2b11"), "0b0d7a52-3a52-4a0e-8a3e-7d6c0f7f2b11")
    assert.strictEqual(Id.ofPublished("order-17.X3kd"), "order-17.X3kd")
  })
})
