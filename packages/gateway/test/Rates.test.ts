import { assert, describe, it } from "@effect/vitest"
import { Rates } from "../src/Rates.ts"

describe("rates", () => {
  it("let so many through at once, and then so many a second", () => {
    const rates = new Rates({ burst: 3, perSecond: 2 })
    assert.deepStrictEqual(
      [0, 0, 0].map((now) => rates.take("a", now)),
      [0, 0, 0]
    )
    assert.strictEqual(rates.take("a", 0), 0.5)
    assert.strictEqual(rates.take("a", 250), 0.25, "who asks too soon waits no longer for it")
    assert.strictEqual(rates.take("a", 500), 0)
    assert.isAbove(rates.take("a", 500), 0)
    assert.deepStrictEqual(
      [60_000, 60_000, 60_000].map((now) => rates.take("a", now)),
      [0, 0, 0]
    )
    assert.isAbove(rates.take("a", 60_000), 0, "more than a burst is never saved up")
    assert.strictEqual(rates.take("b", 60_000), 0)
  })

  it("take a clock that goes back for one that stands still", () => {
    const rates = new Rates({ burst: 1, perSecond: 1 })
    assert.strictEqual(rates.take("a", 10_000), 0)
    assert.strictEqual(rates.take("a", 0), 1)
  })

  it("forget whoever has rested, and keep so many at most", () => {
    const rates = new Rates({ burst: 10, perSecond: 1 }, 100)
    for (let i = 0; i < 1_000; i++) rates.take(`name-${i}`, 0)
    assert.strictEqual(rates.size, 100)
    rates.take("a", 2_000)
    assert.strictEqual(rates.size, 1)
  })
})
