/**
 * pnpm chaos [--seed 1] [--minutes 1] [--faults kill-host,kill-nats] [--json]: a bank of accounts on three hosts under
 * faults. Exits with 1 when a promise was broken. The seed gives the same faults at the same times.
 */
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { run } from "./run.ts"
import { type Kind, kinds } from "./schedule.ts"

const isKind = (name: string): name is Kind => (kinds as ReadonlyArray<string>).includes(name)

const settings = (): { seed: number; minutes: number; json: boolean; among: ReadonlyArray<Kind> } => {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      minutes: { type: "string", default: "1" },
      faults: { type: "string", default: kinds.join(",") },
      json: { type: "boolean", default: false }
    }
  })
  const seed = Number(values.seed)
  const minutes = Number(values.minutes)
  const among = values.faults.split(",")
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed ${values.seed} is no whole number`)
  if (!(minutes > 0 && minutes <= 600)) throw new Error(`--minutes ${values.minutes} is not between 0 and 600`)
  const unknown = among.find((name) => !isKind(name))
  if (unknown !== undefined) throw new Error(`no fault is called "${unknown}": there are ${kinds.join(", ")}`)
  return { seed, minutes, json: values.json, among: among.filter(isKind) }
}

const tell = (line: string): void => void process.stderr.write(`${line}\n`)

const main = Effect.gen(function* () {
  const { json, ...options } = yield* Effect.try(settings)
  const { violations, ...report } = yield* run({ ...options, tell })
  for (const violation of violations) tell(`VIOLATION  ${violation}`)
  const { minutes, seed } = options
  const line = { chaos: "bank", seed, minutes, ...report, violations: violations.length }
  process.stdout.write(json ? `${JSON.stringify(line)}\n` : `${text(line)}\n`)
  if (violations.length > 0) process.exitCode = 1
})

const text = ({ asks, faults, transfers, violations }: Line): string =>
  [
    ...Object.entries(faults).map(([kind, times]) => `${String(times).padStart(6)}  ${kind}`),
    `${asks} asks answered, ${transfers} transfers applied, ${violations} violations`
  ].join("\n")
type Line = { readonly asks: number; readonly faults: object; readonly transfers: number; readonly violations: number }

main.pipe(
  Effect.catch((error) =>
    Effect.sync(() => {
      tell(String(error instanceof Error && error.cause !== undefined ? error.cause : error))
      process.exitCode = 1
    })
  ),
  NodeRuntime.runMain
)
