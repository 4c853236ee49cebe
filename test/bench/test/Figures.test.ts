import { assert, describe, it } from "@effect/vitest"
import { median, quantile, tenths } from "../src/Figures.ts"

describe("Figures", () => {
  it("a quantile is the nearest rank, whatever the order", () => {
    const values = [50, 10, 40, 20, 30]
    assert.strictEqual(median(values), 30)
    assert.strictEqual(quantile(values, 0.95), 50)
    assert.strictEqual(quantile(values, 0.2), 10)
    assert.strictEqual(quantile(values, 0.21), 20)
    assert.strictEqual(quantile([7], 0.99), 7)
    assert.deepStrictEqual(values, [50, 10, 40, 20, 30])
  })

  it("of nothing there is no quantile", () => {
    assert.isNaN(quantile([], 0.5))
  })

  it("tells the rate of each tenth of the way", () => {
    const even = Array.from({ length: 101 }, (_, i) => ({ at: i * 10, count: i * 5 }))
    assert.deepStrictEqual(
      tenths(even),
      Array.from({ length: 10 }, () => 500)
    )
    const slower = even.map(({ at, count }) => ({ at: count > 250 ? at * 3 - 1_000 : at, count }))
    assert.deepStrictEqual(tenths(slower), [500, 500, 500, 500, 500, 167, 167, 167, 167, 167])
  })

  it("a jump over several tenths is one rate", () => {
    const jump = [
      { at: 0, count: 0 },
      { at: 1_000, count: 50 },
      { at: 2_000, count: 100 }
    ]
    assert.deepStrictEqual(tenths(jump), [50, 50])
    assert.deepStrictEqual(tenths([]), [])
  })
})
