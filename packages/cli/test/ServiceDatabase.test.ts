import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as ServiceDatabase from "../src/ServiceDatabase.ts"

const url = (text: string) => Redacted.make(text)

describe("the database of a service", () => {
  it("is named after the database of the server's url, or troupe where that says nothing", () => {
    assert.strictEqual(ServiceDatabase.prefixOf(url("postgres://h/shop")), "shop")
    for (const plain of ["postgres://h", "postgres://h/", "postgres://h/postgres"]) {
      assert.strictEqual(ServiceDatabase.prefixOf(url(plain)), "troupe")
    }
    assert.strictEqual(ServiceDatabase.nameOf("shop", "orders"), "shop_orders")
  })

  it("is reached with its own role, on the same server and with the same options", () => {
    const own = ServiceDatabase.urlOf(url("postgres://admin:secret@h:5433/shop?sslmode=require"), "shop_a b", {
      name: "shop_a b",
      password: "p/w@"
    })
    assert.strictEqual(Redacted.value(own), "postgres://shop_a%20b:p%2Fw%40@h:5433/shop_a%20b?sslmode=require")
  })

  it("is that of the url when the url names it already", () => {
    const of = (text: string) => Redacted.value(ServiceDatabase.ofService(url(text), "orders"))
    assert.strictEqual(of("postgres://h/shop"), "postgres://h/shop_orders")
    assert.strictEqual(of("postgres://h/shop_orders"), "postgres://h/shop_orders")
    assert.strictEqual(of("postgres://h/orders"), "postgres://h/orders")
  })

  it("can be named by a variable of its own", () => {
    assert.strictEqual(ServiceDatabase.variableOf("gift-cards"), "GIFT_CARDS_DATABASE_URL")
    const found = ServiceDatabase.fromEnvironment("gift-cards", { GIFT_CARDS_DATABASE_URL: "postgres://h/g" })
    assert.strictEqual(found && Redacted.value(found), "postgres://h/g")
    assert.isUndefined(ServiceDatabase.fromEnvironment("gift-cards", { GIFT_CARDS_DATABASE_URL: "" }))
  })
})
