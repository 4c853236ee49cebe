import { readFileSync, statSync, writeFileSync } from "node:fs"
import { availableParallelism, totalmem } from "node:os"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import { type BenchError, failure } from "./BenchError.ts"
import type { Line } from "./Line.ts"
import type * as Options from "./Options.ts"
import * as Report from "./Report.ts"

const page = fileURLToPath(new URL("../../../docs/benchmarks.md", import.meta.url))
const marks = ["<!-- figures: written by `pnpm bench report` -->", "<!-- end of figures -->"] as const

/** Writes the tables of docs/benchmarks.md anew from JSON lines. */
export const run = ({ results }: Options.Options): Effect.Effect<void, BenchError> =>
  Effect.try({
    try: () => {
      const lines = readFileSync(results ?? "", "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line): Line => JSON.parse(line))
      const text = readFileSync(page, "utf8")
      const from = text.indexOf(marks[0]) + marks[0].length
      const to = text.indexOf(marks[1])
      const day = statSync(results ?? "")
        .mtime.toISOString()
        .slice(0, 10)
      const machine = `Measured on ${day}: ${availableParallelism()} cores, ${Math.round(totalmem() / 1024 ** 3)} GB, Node.js ${process.versions.node}.`
      writeFileSync(page, `${text.slice(0, from)}\n\n${machine}\n\n${Report.render(lines)}\n\n${text.slice(to)}`)
    },
    catch: (cause) => failure("the page was not written", results ?? "", String(cause), "give it a file of JSON lines")
  })
