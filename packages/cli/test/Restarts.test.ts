import { assert, describe, it } from "@effect/vitest"
import * as Restarts from "../src/dev/Restarts.ts"

/** What is done about deaths at these times, in ms. */
const decisions = (times: ReadonlyArray<number>) => {
  let restarts: Restarts.Restarts = []
  return times.map((now) => {
    const next = Restarts.next(restarts, now)
    if (next === "give up") return next
    restarts = next.restarts
    return next.delay
  })
}

describe("a service that dies", () => {
  it("is started again after ever longer waits, and given up at the sixth death in a minute", () => {
    assert.deepStrictEqual(decisions([0, 1, 2, 3, 4, 5]), [100, 200, 400, 800, 1_600, "give up"])
  })

  it("begins anew once a minute has passed", () => {
    assert.deepStrictEqual(decisions([0, 1, 2, 3, 4, 60_005]), [100, 200, 400, 800, 1_600, 100])
    assert.deepStrictEqual(decisions([0, 20_000, 40_000, 61_000]), [100, 200, 400, 400])
  })
})
