import { assert, it } from "@effect/vitest"
import type { Report } from "./src/run.ts"
import { seeds, total } from "./src/series.ts"

it("a range of seeds has both its ends", () => {
  assert.deepStrictEqual(seeds("3-5"), [3, 4, 5])
  assert.deepStrictEqual(seeds("7-7"), [7])
  for (const wrong of ["5-3", "3", "a-b", "1-", "1-100000"]) assert.throws(() => seeds(wrong), /is not A-B/)
})

it("the total of several seeds names those with violations", () => {
  const report = (violations: ReadonlyArray<string>): Report => ({
    faults: { "kill-host": 2 },
    asks: 10,
    transfers: 20,
    throughput: 5.5,
    takeOvers: 3,
    hostsKilledByHealth: 1,
    wedgedKilledByHealth: 0,
    violations
  })
  assert.deepStrictEqual(total([4, 5], [report([]), report(["one", "two"])]), {
    faults: { "kill-host": 4 },
    asks: 20,
    transfers: 40,
    throughput: 5.5,
    takeOvers: 6,
    hostsKilledByHealth: 2,
    wedgedKilledByHealth: 0,
    violations: 2,
    violationsBySeed: { 4: 0, 5: 2 }
  })
})
