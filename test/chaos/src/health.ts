import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Slot, World } from "./world.ts"

/** Between two looks at a host, and how long it has to answer. */
const interval = "2 seconds"
const patience = 2_000
/** Looks in a row that must fail. */
const failures = 3

/**
 * Looks at a slot's host as an operator's platform does: when `/livez` fails three times in a row, the host is killed, and
 * so started again. Unless a fault wedged it, that breaks a promise: no fault is mended by a restart.
 */
export const supervise = (world: World, slot: Slot): Effect.Effect<void> => {
  let failed: Array<string> = []
  let of: number | undefined
  return Effect.promise(async () => {
    const { host } = slot
    if (host === undefined || host.pid !== of || slot.excused) failed = []
    of = host?.pid
    if (host === undefined || slot.excused) return
    const trouble = await ask(`${host.url}/livez`)
    if (slot.host !== host || slot.excused) return
    failed = trouble === undefined ? [] : [...failed, trouble]
    if (failed.length < failures) return
    world.killed.push({ wedged: slot.wedged })
    world.say(`host ${slot.nth} is killed by health: ${trouble}`)
    if (!slot.wedged) world.problems.push(`host ${slot.nth} was killed by health: ${failed.join("; ")}`)
    slot.condemned = true
    host.kill("SIGKILL")
  }).pipe(Effect.repeat(Schedule.spaced(interval)), Effect.asVoid)
}

/** What is the matter with the endpoint, if anything is. */
const ask = async (url: string): Promise<string | undefined> => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(patience) })
    const text = await response.text()
    return response.ok ? undefined : `${response.status} ${text.slice(0, 1_000)}`
  } catch (cause) {
    return `no answer: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}
