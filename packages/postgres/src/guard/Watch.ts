/** How long, in ms, an event loop may stand still. */
export interface Bounds {
  /** Then the messages that run are noted. */
  readonly noteAfter: number
  /** The CPU time that the process uses meanwhile: then the host is ended. */
  readonly endAfterCpu: number
  /** Then the host is ended, however little CPU time it used: it waits, and nobody can tell for what. */
  readonly endAfter: number
}

/** What an event loop does. */
export interface Seen {
  /** It turns, it stands, or it stands for too long. */
  readonly state: "turns" | "stands" | "over"
  /** For how long it has stood, and the CPU time since; ms. */
  readonly stood: number
  readonly cpu: number
}

/** Between looks, in ms. */
export const interval = 100

/**
 * Judges an event loop from looks at how often it has turned, at the time and at the CPU time that the process used but for
 * whoever looks, in ms. Counts only the time in which it looks: between two looks at most two intervals, so a process that
 * was stopped, or a machine that slept or starved, is no fault of the loop.
 */
export const make = ({ endAfter, endAfterCpu, noteAfter }: Bounds) => {
  let seen: { turns: number; at: number; cpu: number } | undefined
  let stood = 0
  return (turns: number, at: number, cpu: number): Seen => {
    if (seen === undefined || seen.turns !== turns) {
      seen = { turns, at, cpu }
      stood = 0
    }
    stood += Math.min(at - seen.at, 2 * interval)
    seen.at = at
    const used = cpu - seen.cpu
    const over = stood >= endAfter || (stood >= noteAfter && used >= endAfterCpu)
    return { state: over ? "over" : stood >= noteAfter ? "stands" : "turns", stood, cpu: used }
  }
}
