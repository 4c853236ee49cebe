import { assert, describe, it } from "@effect/vitest"
import { isOff, most, offset } from "../src/Clocks.ts"

describe("the clock of a server", () => {
  it("is read in the middle of the round trip", () => {
    assert.strictEqual(offset({ said: 1_000, before: 900, after: 1_100 }), 0)
    assert.strictEqual(offset({ said: 500, before: 900, after: 1_100 }), -500)
  })

  it("is off only if no division of the round trip explains it", () => {
    const [before, after] = [0, 8_000]
    assert.isFalse(isOff({ said: 8_000 + most, before, after }), "the answer may have come back at once")
    assert.isTrue(isOff({ said: 8_001 + most, before, after }))
    assert.isFalse(isOff({ said: -most, before, after }), "the question may have arrived at once")
    assert.isTrue(isOff({ said: -most - 1, before, after }))
  })
})
