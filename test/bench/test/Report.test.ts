import { assert, describe, it } from "@effect/vitest"
import type { Line } from "../src/Line.ts"
import { draw } from "../src/Picture.ts"
import { render } from "../src/Report.ts"

const line: Line = {
  bench: "turns",
  callers: 64,
  troupe: 10_000,
  restate: null,
  dbos: 500,
  p50: 5.5,
  p99: 9,
  restateP50: null,
  restateP99: null,
  dbosP50: 120,
  dbosP99: 300.25,
  limits: { foldedUpserts: 20_000, rawPublish: 90_000 }
}

describe("Report", () => {
  it("puts turns into one table, with a dash for what could not be measured", () => {
    assert.strictEqual(
      render([line]),
      [
        "| system                         | callers | calls/s |    p50 |       p99 |",
        "| ------------------------------ | ------: | ------: | -----: | --------: |",
        "| Troupe                         |      64 |  10,000 | 5.5 ms |      9 ms |",
        "| Restate                        |      64 |       - |      - |         - |",
        "| DBOS                           |      64 |     500 | 120 ms | 300.25 ms |",
        "| (limit) the rows alone, folded |      64 |  20,000 |        |           |",
        "| (limit) the publishes alone    |      64 |  90,000 |        |           |"
      ].join("\n")
    )
  })

  it("gives every other bench a table of its figures", () => {
    assert.strictEqual(
      render([{ bench: "relay", rows: 100_000, ratio: 0.75, tenths: [1, 2] }]),
      [
        "| relay  |         |",
        "| ------ | ------- |",
        "| rows   | 100,000 |",
        "| ratio  | 0.75    |",
        "| tenths | [1,2]   |"
      ].join("\n")
    )
  })

  it("draws a bar for each system that was measured, the longest for the fastest", () => {
    const bars = [...draw([line]).matchAll(/<rect x="120".*width="(\d+)"/g)].map(([, width]) => Number(width))
    assert.deepStrictEqual(bars, [440, 22])
  })
})
