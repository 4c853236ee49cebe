// A host of the bank: node host.ts '{"natsUrl": ...}'. The runner tells it which accounts are poisoned, and what its clock says.
import { shift } from "@troupe/test-world/clock"
import { run, type Settings } from "@troupe/test-world/host"
import { bank } from "./bank.ts"

interface Told {
  readonly poisoned?: ReadonlyArray<string>
  /** How far the wall clock is off, in ms. */
  readonly clock?: number
}

const settings: Settings = JSON.parse(process.argv[2] ?? "{}")
let poisoned: ReadonlyArray<string> = []
process.on("message", (told: Told) => {
  if (told.poisoned !== undefined) ({ poisoned } = told)
  if (told.clock === undefined) return
  shift(told.clock)
  process.stdout.write(`clock ${Date.now()}\n`)
})
const isPoisoned = (key: string): boolean => {
  const is = poisoned.includes(key)
  if (is) process.stdout.write(`poisoned ${key}\n`)
  return is
}
run(bank(isPoisoned), settings)
