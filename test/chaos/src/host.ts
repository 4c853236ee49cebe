// A host of the bank: node --import clock.ts host.ts '{"natsUrl": ...}'. The runner tells it which accounts are poisoned.
import { run, type Settings } from "@troupe/test-world/host"
import { bank } from "./bank.ts"

interface Told {
  readonly poisoned?: ReadonlyArray<string>
}

const settings: Settings & Required<Told> = JSON.parse(process.argv[2] ?? "{}")
const poisoned = new Set(settings.poisoned)
process.on("message", (told: Told) => {
  if (told.poisoned === undefined) return
  poisoned.clear()
  for (const key of told.poisoned) poisoned.add(key)
})
const isPoisoned = (key: string): boolean => {
  const is = poisoned.has(key)
  if (is) process.stdout.write(`poisoned ${key}\n`)
  return is
}
run(bank(isPoisoned), settings)
