import type { Line } from "../Line.ts"
import type { System } from "../Options.ts"
import * as Table from "../Table.ts"

export const titles: { readonly [name in System]: string } = {
  troupe: "Troupe",
  restate: "Restate",
  effectCluster: "Effect Cluster",
  dbos: "DBOS"
}

const number = (value: unknown): string => (typeof value === "number" ? Table.count(value) : "-")
const ms = (value: unknown): string => (typeof value === "number" ? `${value} ms` : "-")

/** One row for each system and number of callers, and the limits. */
export const render = (lines: ReadonlyArray<Line>): string => {
  const rows = lines.flatMap((line) => {
    const limits = line["limits"] as { readonly foldedUpserts: number; readonly rawPublish: number }
    const callers = String(line["callers"])
    return [
      ...Object.entries(titles)
        .filter(([name]) => name in line)
        .map(([name, title]) => [
          title,
          callers,
          number(line[name]),
          ms(line[name === "troupe" ? "p50" : `${name}P50`]),
          ms(line[name === "troupe" ? "p99" : `${name}P99`])
        ]),
      ["(limit) the rows alone, folded", callers, number(limits.foldedUpserts), "", ""],
      ["(limit) the publishes alone", callers, number(limits.rawPublish), "", ""]
    ]
  })
  return Table.render(["system", "callers", "calls/s", "p50", "p99"], rows)
}
