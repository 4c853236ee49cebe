/**
 * pnpm fuzz [--seed 1] [--minutes 1] [--messages 1000000] [--requests 200000] [--json]: messages and requests of a grammar
 * against a host and a gateway on servers of their own. Exits with 1 when a promise was broken. `--messages` and
 * `--requests` are how many are sent in ten minutes at most.
 */
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { run } from "./run.ts"

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    minutes: { type: "string", default: "1" },
    messages: { type: "string", default: "1050000" },
    requests: { type: "string", default: "210000" },
    json: { type: "boolean", default: false }
  }
})

const number = (name: "seed" | "minutes" | "messages" | "requests", from: number, to: number): number => {
  const value = Number(values[name])
  if (!(value >= from && value <= to)) throw new Error(`--${name} ${values[name]} is not between ${from} and ${to}`)
  return value
}

const main = Effect.gen(function* () {
  const options = yield* Effect.try(() => ({
    seed: number("seed", 0, Number.MAX_SAFE_INTEGER),
    minutes: number("minutes", 0.05, 600),
    perSecond: { messages: number("messages", 600, 6e7) / 600, requests: number("requests", 600, 6e7) / 600 }
  }))
  const result = yield* run(options)
  const line = { fuzz: "tally", seed: options.seed, minutes: options.minutes, ...result }
  process.stdout.write(values.json ? `${JSON.stringify(line)}\n` : `${JSON.stringify(line, undefined, 2)}\n`)
  if (result.violations.length > 0) process.exitCode = 1
})

main.pipe(
  Effect.catch((error) =>
    Effect.sync(() => {
      process.stderr.write(`${String(error instanceof Error && error.cause !== undefined ? error.cause : error)}\n`)
      process.exitCode = 1
    })
  ),
  NodeRuntime.runMain
)
