import type { Line } from "./Line.ts"
import * as Table from "./Table.ts"
import * as Turns from "./turns/table.ts"

/** Lines of benches as tables: one for `turns`, one for each of the others. */
export const render = (lines: ReadonlyArray<Line>): string => {
  const turns = lines.filter(({ bench }) => bench === "turns")
  const others = lines.filter(({ bench }) => bench !== "turns")
  return [...(turns.length === 0 ? [] : [Turns.render(turns)]), ...others.map(figures)].join("\n\n")
}

const figures = ({ bench, ...rest }: Line): string =>
  Table.render(
    [bench, ""],
    Object.entries(rest).map(([name, value]) => [name, shown(value)])
  )

const shown = (value: unknown): string =>
  typeof value === "number"
    ? value >= 10_000
      ? Table.count(value)
      : String(value)
    : typeof value === "string"
      ? value
      : JSON.stringify(value)
