/**
 * A thread that gives each of some processes a share of a core, as the CPU quota of a container does: who has used up what
 * it has saved, 100 ms worth at most, stands still until half of that is there again. A thread of its own, because the
 * runner's event loop would let them run for as long as it is busy.
 */
import { workerData } from "node:worker_threads"
import { cpu } from "./processes.ts"

export interface Throttled {
  readonly pids: ReadonlyArray<number>
  /** Of one core, from 0 to 1. */
  readonly share: number
  /** Its first element becomes 1 when it is to end. */
  readonly end: Int32Array
}

const { end, pids, share } = workerData as Throttled
/** Between looks, and what can be saved, in ms. */
const interval = 5
const most = share * 100

interface One {
  readonly pid: number
  saved: number
  used: number
  runs: boolean
}
const all = pids.map((pid): One => ({ pid, saved: most, used: cpu(pid), runs: true }))

const tell = (one: One, signal: "SIGSTOP" | "SIGCONT"): void => {
  one.runs = signal === "SIGCONT"
  try {
    process.kill(one.pid, signal)
  } catch {
    // It has ended.
  }
}

let before = performance.now()
while (Atomics.load(end, 0) === 0) {
  Atomics.wait(end, 0, 0, interval)
  const now = performance.now()
  for (const one of all) {
    const used = cpu(one.pid)
    one.saved = Math.min(most, one.saved + share * (now - before)) - (used - one.used)
    one.used = used
    if (one.runs && one.saved <= 0) tell(one, "SIGSTOP")
    else if (!one.runs && one.saved >= most / 2) tell(one, "SIGCONT")
  }
  before = now
}
for (const one of all) tell(one, "SIGCONT")
