import { assert, describe, it } from "@effect/vitest"
import { ReadBudget, Share } from "@troupe/contract"

const MiB = 1024 ** 2

describe("the budget of all readers of a connection", () => {
  it("gives room in the order of asking, a small request behind a large one as well", () => {
    const budget = new ReadBudget()
    const [first, large, small] = [budget.enter(), budget.enter(), budget.enter()]
    const given: Array<string> = []
    first.take(8 * MiB, () => given.push("first"))
    large.take(8 * MiB, () => given.push("large"))
    small.take(1 * MiB, () => given.push("small"))
    assert.deepStrictEqual(given, ["first"])
    first.release(2 * MiB)
    assert.deepStrictEqual(given, ["first"])
    first.release(2 * MiB)
    assert.deepStrictEqual(given, ["first", "large"])
    first.release()
    assert.deepStrictEqual(given, ["first", "large", "small"])
  })

  it("gives one that wants more than there is all of it, alone", () => {
    const budget = new ReadBudget()
    const [huge, other] = [budget.enter(), budget.enter()]
    const given: Array<string> = []
    huge.take(huge.size(true, 64 * MiB), () => given.push("huge"))
    other.take(1, () => given.push("other"))
    assert.deepStrictEqual(given, ["huge"])
    huge.release(64 * MiB)
    assert.deepStrictEqual(given, ["huge", "other"])
  })

  it("makes room for a message that is larger than the server said", () => {
    const share = new ReadBudget().enter()
    assert.isFalse(share.exceeded(1_000, MiB), "what was left of a pull that brought something")
    assert.isTrue(share.exceeded(Share.usual, MiB))
    const before = share.size(true, MiB)
    for (const left of [before, 2 * before]) assert.isTrue(share.exceeded(left, MiB))
    assert.isAbove(share.size(true, MiB), 3 * MiB)
    for (let i = 0; i < 10; i++) share.exceeded(64 * MiB, MiB)
    assert.isBelow(share.size(true, MiB), 65 * MiB)
  })

  it("has everything again when its readers have ended, also those that waited", () => {
    const budget = new ReadBudget()
    for (let round = 0; round < 3; round++) {
      const readers = Array.from({ length: 100 }, () => budget.enter())
      let given = 0
      for (const reader of readers) reader.take(MiB, () => given++)
      assert.strictEqual(given, 12)
      for (const reader of readers.toReversed()) reader.end()
      assert.strictEqual(given, 12, "nothing is given to one that has ended")
    }
  })

  it("is 16 MiB for 100 and for 4,000 readers that wait and read", () => {
    for (const count of [1, 100, 4_000]) {
      const budget = new ReadBudget()
      const readers = Array.from({ length: count }, () => budget.enter())
      let held = 0
      for (const reader of readers) reader.take(Share.usual, () => (held += reader.held))
      assert.isAtMost(held + readers.reduce((sum, { idle }) => sum + idle, 0), 16 * MiB)
    }
  })
})
