import { assert, it } from "@effect/vitest"
import * as Watch from "../../src/guard/Watch.ts"

const bounds = { noteAfter: 1_000, endAfterCpu: 10_000, endAfter: 30_000 }

/** Looks at a loop that stands, every `every` ms for `ms`, while the process uses a share of a core. */
const standing = (ms: number, share: number, every = Watch.interval) => {
  const look = Watch.make(bounds)
  look(1, 0, 0)
  const states: Array<Watch.Seen> = []
  for (let at = every; at <= ms; at += every) states.push(look(1, at, at * share))
  return states
}
const first = (states: ReadonlyArray<Watch.Seen>, state: Watch.Seen["state"]) =>
  (states.findIndex((seen) => seen.state === state) + 1) * Watch.interval

it("a loop that computes is noted after a second, and over after ten seconds of CPU time", () => {
  const states = standing(12_000, 1)
  assert.strictEqual(first(states, "stands"), 1_000)
  assert.strictEqual(first(states, "over"), 10_000)
})

it("a loop that waits without computing is over after thirty seconds", () => {
  const states = standing(40_000, 0)
  assert.strictEqual(first(states, "stands"), 1_000)
  assert.strictEqual(first(states, "over"), 30_000)
})

it("a process that was stopped for an hour is not blamed for it", () => {
  const look = Watch.make(bounds)
  look(1, 0, 0)
  assert.strictEqual(look(1, 3_600_000, 20).state, "turns")
  assert.strictEqual(look(1, 7_200_000, 40).state, "turns")
})

it("a loop that turns begins anew, however seldom", () => {
  const look = Watch.make(bounds)
  for (let turn = 0; turn < 100; turn++) {
    for (let at = 0; at < 900; at += Watch.interval)
      assert.strictEqual(look(turn, turn * 900 + at, turn * 900 + at).state, "turns")
  }
})

it("a loop with a quarter of a core that stands for 20 s has not used what ends it", () => {
  assert.strictEqual(standing(20_000, 0.25).at(-1)!.state, "stands")
})
