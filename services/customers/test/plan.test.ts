import { assert, describe, it } from "@effect/vitest"
import * as Plan from "../src/plan.ts"

const plan = Plan.make("run")
const of = (sku: string) => plan.filter((order) => order.lines[0].sku === sku)

describe("the plan", () => {
  it("has a thousand orders of 200 customers, each with an id of its own", () => {
    assert.strictEqual(new Set(plan.map(({ id }) => id)).size, 1_000)
    assert.strictEqual(new Set(plan.map(({ customer }) => customer)).size, 200)
  })

  it("leaves at least 900 that can be placed", () => {
    assert.strictEqual(of("unobtainium").length, 20)
    assert.strictEqual(of("silver teapot").length, 80)
  })

  it("sends fifty twice, half of them at once, and some of those cannot be paid", () => {
    assert.strictEqual(plan.filter(({ again }) => again === "at once").length, 25)
    assert.strictEqual(plan.filter(({ again }) => again === "afterwards").length, 25)
    assert.isAbove(of("silver teapot").filter(({ again }) => again !== "never").length, 0)
  })
})
