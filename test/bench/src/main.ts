/** `pnpm bench turns|relay|failover|memory|report`: figures on stdout, progress on stderr. */
import { writeFileSync } from "node:fs"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { BenchError } from "./BenchError.ts"
import type { Line, Print } from "./Line.ts"
import * as Options from "./Options.ts"
import { say } from "./Progress.ts"
import { render } from "./Report.ts"

type Run = (options: Options.Options, print: Print) => Effect.Effect<void, unknown, Scope.Scope>

// Each is loaded when it is asked for.
const benches: { readonly [bench in Options.Bench]: () => Promise<{ readonly run: Run }> } = {
  turns: () => import("./turns/turns.ts"),
  relay: () => import("./relay/relay.ts"),
  failover: () => import("./failover/failover.ts"),
  memory: () => import("./memory/memory.ts"),
  report: () => import("./page.ts")
}

const main = Effect.gen(function* () {
  const options = Options.parse(process.argv.slice(2))
  if (options instanceof BenchError) {
    process.stderr.write(`${Options.usage}\n${options.message}\n`)
    process.exitCode = 2
    return
  }
  const lines: Array<Line> = []
  const { run } = yield* Effect.promise(benches[options.bench])
  yield* run(options, (line) => {
    lines.push(line)
    if (options.json) process.stdout.write(`${JSON.stringify(line)}\n`)
  })
  if (!options.json && lines.length > 0) process.stdout.write(`${render(lines)}\n`)
  if (options.picture !== undefined) {
    const { draw } = yield* Effect.promise(() => import("./Picture.ts"))
    writeFileSync(options.picture, draw(lines))
  }
  if (lines.some((line) => "errors" in line)) process.exitCode = 1
}).pipe(
  Effect.scoped,
  Effect.catch((error) =>
    Effect.sync(() => {
      say(error instanceof Error ? error.message : String(error))
      process.exitCode = 1
    })
  )
)

NodeRuntime.runMain(main)
