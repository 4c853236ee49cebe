// npm run -s test:runtimes -- [--json] [RUNTIME...]
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import { check, type Name, names, type Report } from "./runtimes.ts"
import * as World from "./World.ts"

const { positionals, values } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean" } } })
const unknown = positionals.find((name) => !names.includes(name as Name))
if (unknown !== undefined) {
  process.stderr.write(`there is no runtime ${unknown}: ${names.join(", ")}\n`)
  process.exit(2)
}

/** `node      pass  35 checks`, and what failed below. */
const lines = ({ checked, runtime }: Report): string => {
  const failed = checked.filter((one) => one.failed !== undefined)
  const count =
    failed.length === 0 ? `pass  ${checked.length} checks` : `FAIL  ${failed.length} of ${checked.length} checks`
  return [`${runtime.padEnd(9)} ${count}`, ...failed.map(({ failed, name }) => `  ${name}: ${failed}`)].join("\n")
}

const json = ({ checked, runtime, version }: Report): string => {
  const failed = checked.filter((one) => one.failed !== undefined)
  return JSON.stringify({ runtime, version, pass: failed.length === 0, checks: checked.length, failed })
}

const wanted = names.filter((name) => positionals.length === 0 || positionals.includes(name))

await Effect.runPromise(
  Effect.scoped(
    Effect.gen(function* () {
      const world = yield* World.start
      for (const name of wanted) {
        const report = yield* check(name, world)
        console.log(values.json === true ? json(report) : lines(report))
        if (report.checked.some(({ failed }) => failed !== undefined)) process.exitCode = 1
      }
    })
  )
)
