import { createHash } from "node:crypto"
import { assert, it } from "@effect/vitest"
import { gap, hosts, kinds, make, original, poisonable } from "./src/schedule.ts"

it("the same seed gives the same faults, another one others", () => {
  assert.deepStrictEqual(make(1, 300_000), make(1, 300_000))
  assert.notDeepEqual(make(1, 300_000), make(2, 300_000))
})

it("each kind comes once before any comes again", () => {
  for (const seed of [1, 2, 3]) {
    const rounds = make(seed, kinds.length * 3 * gap)
    assert.strictEqual(rounds.length, kinds.length * 3)
    for (let round = 0; round < 3; round++) {
      const drawn = rounds.slice(round * kinds.length, (round + 1) * kinds.length).map(({ kind }) => kind)
      assert.sameMembers(drawn, [...kinds])
    }
  }
})

it("faults are in order of time and within the run", () => {
  const faults = make(7, 120_000)
  const times = faults.map(({ at }) => at)
  assert.deepStrictEqual(
    times,
    times.toSorted((a, b) => a - b)
  )
  assert.isTrue(times.every((at) => at >= 0 && at <= 120_000))
})

it("draws among the kinds that it is given, and for hosts and keys that there are", () => {
  for (const fault of make(3, 600_000, ["kill-host", "poison"])) {
    assert.include(["kill-host", "poison"], fault.kind)
    if (fault.kind === "kill-host") assert.isTrue(fault.host >= 0 && fault.host < hosts)
    if (fault.kind === "poison") assert.include(poisonable, fault.key)
  }
})

it("a run that is too short for a second fault has one", () => {
  assert.strictEqual(make(1, 100).length, 1)
})

it("a seed gives with the original kinds the schedule that it gave before others were added", () => {
  const digest = (seed: number, minutes: number) =>
    createHash("sha256")
      .update(JSON.stringify(make(seed, minutes * 60_000, original)))
      .digest("hex")
  assert.strictEqual(digest(31, 3), "00e98f2c2f2b854a0d2bc6a0fc973fc1b94b97cd2d022658417d4d47982610d4")
  assert.strictEqual(digest(1, 1), "462465067769f4ac3c47bcd9ae1c7fd2ef906385bb99a5d72b334bc4c0591480")
})

it("ten minutes have every kind, five times at least", () => {
  const drawn = Map.groupBy(make(21, 600_000), ({ kind }) => kind)
  for (const kind of kinds) assert.isAtLeast(drawn.get(kind)?.length ?? 0, 5, kind)
})
