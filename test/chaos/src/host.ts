// A host of the bank: node host.ts '{"natsUrl": ..., "clock": 0}'. The runner tells it which accounts are poisoned, what its
// clock says, and when it is to stand still.
import { shift } from "@troupe/test-world/clock"
import { run, type Settings } from "@troupe/test-world/host"
import { bank } from "./bank.ts"

interface Told {
  readonly poisoned?: ReadonlyArray<string>
  /** How far the wall clock is off, in ms. */
  readonly clock?: number
  /** For how long the event loop stands, in ms. */
  readonly wedge?: number
}

const { clock = 0, ...settings }: Settings & Pick<Told, "clock"> = JSON.parse(process.argv[2] ?? "{}")
const setClock = (by: number): void => {
  shift(by)
  process.stdout.write(`clock ${Date.now()}\n`)
}
if (clock !== 0) setClock(clock)

let poisoned: ReadonlyArray<string> = []
process.on("message", (told: Told) => {
  if (told.poisoned !== undefined) ({ poisoned } = told)
  if (told.clock !== undefined) setClock(told.clock)
  if (told.wedge !== undefined) {
    process.stdout.write("wedged\n")
    const end = performance.now() + told.wedge
    while (performance.now() < end);
  }
})
const isPoisoned = (key: string): boolean => {
  const is = poisoned.includes(key)
  if (is) process.stdout.write(`poisoned ${key}\n`)
  return is
}
run(bank(isPoisoned), settings)
