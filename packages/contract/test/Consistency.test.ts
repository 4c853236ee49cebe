import { assert, describe, it } from "@effect/vitest"
import { Consistency } from "@troupe/contract"

describe("a consistency token", () => {
  const place = { service: "help-desk", actor: "Call", partition: 15, position: 2 ** 53 - 1, key: "a%2Eb:1" }
  it("is text, and reads as what it was made of", () => {
    assert.strictEqual(Consistency.text(place), "help-desk.Call.15.9007199254740991.a%2Eb:1")
    assert.deepStrictEqual(Consistency.parse(Consistency.text(place)), place)
  })

  it.each([
    "",
    "shop.Cart.3.7",
    "shop.Cart.3.7.",
    "shop.Cart.3.7.k.k",
    "shop.cart.3.7.k",
    "Shop.Cart.3.7.k",
    "shop.Cart.03.7.k",
    "shop.Cart.3.-7.k",
    "shop.Cart.3.1e3.k",
    "shop.Cart.*.7.k",
    "shop.Cart.3.9007199254740993.k",
    "shop.Cart.3.7.%41",
    "shop.Cart.3.7.>",
    `shop.Cart.3.7.${"k".repeat(201)}`,
    `shop.Cart.3.7.${"k".repeat(1_000_000)}`
  ])("is not %o", (text) => assert.isUndefined(Consistency.parse(text)))
})

describe("where to ask for a subscriber", () => {
  it("is a subject of its own partition by partition", () => {
    assert.strictEqual(Consistency.subject("shop.over-view", 7), "svc.shop.caught.over-view.7")
    assert.strictEqual(Consistency.subject("shop.overview", "*"), "svc.shop.caught.overview.*")
  })
  it.each(["", "shop", "shop.", "shop.*", "shop.>", "shop.over.view", "shop.Cart", " shop.list"])(
    "is nowhere for %o",
    (name) => assert.isUndefined(Consistency.subject(name, 0))
  )
})
