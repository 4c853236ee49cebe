import type { Line } from "./Line.ts"
import { systems } from "./Options.ts"
import * as Table from "./Table.ts"
import { titles } from "./turns/table.ts"

const width = 640
const label = 120
const bar = 18
const gap = 6

/** Calls per second of each system as bars, one group for each number of callers: an SVG. */
export const draw = (lines: ReadonlyArray<Line>): string => {
  const turns = lines.filter(({ bench }) => bench === "turns")
  const rates = (line: Line) =>
    systems.flatMap((name) => (typeof line[name] === "number" ? [{ name, rate: line[name] }] : []))
  const most = Math.max(1, ...turns.flatMap((line) => rates(line).map(({ rate }) => rate)))
  const shapes: Array<string> = []
  let y = 24
  for (const line of turns) {
    shapes.push(`<text x="0" y="${y}" font-weight="bold">${String(line["callers"])} callers, calls per second</text>`)
    y += gap
    for (const { name, rate } of rates(line)) {
      const length = Math.max(1, Math.round((rate / most) * (width - label - 80)))
      shapes.push(
        `<text x="${label - 8}" y="${y + bar - 5}" text-anchor="end">${titles[name]}</text>`,
        `<rect x="${label}" y="${y}" width="${length}" height="${bar}" fill="${name === "troupe" ? "#2f6fde" : "#9aa4b2"}"/>`,
        `<text x="${label + length + 6}" y="${y + bar - 5}">${Table.count(rate)}</text>`
      )
      y += bar + gap
    }
    y += 30
  }
  const height = y - 30
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#ffffff"/>
${shapes.join("\n")}
</svg>
`
}
