/**
 * pnpm chaos [--seed 1 | --seeds 1-20] [--minutes 1] [--faults kill-host,kill-nats] [--slow] [--json]: a bank of accounts
 * on three hosts under faults. Exits with 1 when a promise was broken. The seed gives the same faults at the same times.
 * NATS is a cluster of three when `cluster-leader` is among the faults, as it is by default, else one server.
 */
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { run } from "./run.ts"
import { type Kind, kinds, original } from "./schedule.ts"
import * as Series from "./series.ts"

const isKind = (name: string): name is Kind => (kinds as ReadonlyArray<string>).includes(name)

interface Settings {
  readonly seeds: ReadonlyArray<number>
  /** The seed stands alone, so the line that ends it is its own. */
  readonly single: boolean
  readonly minutes: number
  readonly among: ReadonlyArray<Kind>
  readonly slow: boolean
  readonly json: boolean
}

const settings = (): Settings => {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      seeds: { type: "string" },
      minutes: { type: "string", default: "1" },
      faults: { type: "string", default: kinds.join(",") },
      slow: { type: "boolean", default: false },
      json: { type: "boolean", default: false }
    }
  })
  const minutes = Number(values.minutes)
  // "original" stands for the kinds that there were at first: with these alone a seed gives what it gave then.
  const among = values.faults.split(",").flatMap((name) => (name === "original" ? original : [name]))
  if (!(minutes > 0 && minutes <= 600)) throw new Error(`--minutes ${values.minutes} is not between 0 and 600`)
  const unknown = among.find((name) => !isKind(name))
  if (unknown !== undefined)
    throw new Error(`no fault is called "${unknown}": there are ${kinds.join(", ")}, and "original" for the first ones`)
  const { json, slow } = values
  const single = values.seeds === undefined
  return {
    seeds: single ? [seed(values.seed)] : Series.seeds(values.seeds!),
    single,
    minutes,
    json,
    slow,
    among: among.filter(isKind)
  }
}

const seed = (text: string): number => {
  if (!Number.isSafeInteger(Number(text))) throw new Error(`--seed ${text} is no whole number`)
  return Number(text)
}

const tell = (line: string): void => void process.stderr.write(`${line}\n`)

const main = Effect.gen(function* () {
  const { json, seeds, single, ...options } = yield* Effect.try(settings)
  const { minutes } = options
  const line = single
    ? { chaos: "bank", seed: seeds[0], minutes, ...Series.counted(yield* run({ ...options, seed: seeds[0]!, tell })) }
    : {
        chaos: "bank",
        seeds: `${seeds[0]}-${seeds.at(-1)}`,
        minutes,
        ...(yield* Series.run(seeds, { ...options, tell }))
      }
  process.stdout.write(json ? `${JSON.stringify(line)}\n` : `${text(line)}\n`)
  if (line.violations > 0) process.exitCode = 1
})

const text = ({
  asks,
  faults,
  hostsKilledByHealth,
  takeOvers,
  throughput,
  transfers,
  violations
}: Series.Counted): string =>
  [
    ...Object.entries(faults).map(([kind, times]) => `${String(times).padStart(6)}  ${kind}`),
    `${asks} asks answered, ${transfers} transfers applied (${throughput} a second), ${takeOvers} take-overs, ${hostsKilledByHealth} hosts killed by health, ${violations} violations`
  ].join("\n")

main.pipe(
  Effect.catch((error) =>
    Effect.sync(() => {
      tell(String(error instanceof Error && error.cause !== undefined ? error.cause : error))
      process.exitCode = 1
    })
  ),
  NodeRuntime.runMain
)
