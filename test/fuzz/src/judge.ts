import type { Vitals } from "./vitals.ts"

/** What the vitals of one process say of its whole run. */
export interface Verdict {
  readonly unhandledRejections: number
  readonly uncaughtExceptions: number
  readonly loopDelayP99Ms: number
  readonly loopDelayMaxMs: number
  /** In MB: after the warm-up, and at the end. */
  readonly rss: readonly [number, number]
}

/** The event loop of a process may be late by so much, in ms: in 99 of 100 looks, and ever. */
const late = { p99: 100, ever: 2_000 }
/** In seconds: a process starts and compiles; memory grows meanwhile, and is judged in longer runs alone. */
const starting = 5
const judged = 120
/** RSS may grow by so much after the first third, as a share and in MB: heaps breathe. */
const growth = { share: 0.1, mb: 48 }

/** Judges what one process said of itself, once a second. */
export const judge = (
  name: string,
  vitals: ReadonlyArray<Vitals>
): { readonly verdict: Verdict; readonly violations: ReadonlyArray<string> } => {
  const settled = vitals.slice(Math.min(starting, Math.floor(vitals.length / 2)))
  const loopDelayP99Ms = percentile(
    settled.flatMap(({ loopDelayMs }) => loopDelayMs),
    0.99
  )
  const loopDelayMaxMs = Math.round(Math.max(0, ...settled.map((one) => one.loopDelayMaxMs)))
  const third = Math.ceil(settled.length / 3)
  const fifth = Math.ceil(settled.length / 5)
  const before = rssOf(settled.slice(third, third + fifth))
  const after = rssOf(settled.slice(-fifth))
  const { last, uncaughtExceptions, unhandledRejections } = vitals.at(-1) ?? {
    last: undefined,
    uncaughtExceptions: 0,
    unhandledRejections: 0
  }
  const isGrown = settled.length >= judged && after > before * (1 + growth.share) + growth.mb
  return {
    verdict: { unhandledRejections, uncaughtExceptions, loopDelayP99Ms, loopDelayMaxMs, rss: [before, after] },
    violations: [
      ...(unhandledRejections > 0 ? [`${name}: ${unhandledRejections} unhandled rejections, the last ${last}`] : []),
      ...(uncaughtExceptions > 0 ? [`${name}: ${uncaughtExceptions} uncaught exceptions, the last ${last}`] : []),
      ...(loopDelayP99Ms > late.p99 ? [`${name}: the event loop is late by ${loopDelayP99Ms} ms (p99)`] : []),
      ...(loopDelayMaxMs > late.ever ? [`${name}: the event loop was late by ${loopDelayMaxMs} ms once`] : []),
      ...(isGrown ? [`${name}: its memory grew from ${before} to ${after} MB`] : [])
    ]
  }
}

const rssOf = (vitals: ReadonlyArray<Vitals>): number =>
  Math.round(
    percentile(
      vitals.map(({ rss }) => rss),
      0.5
    ) / 1e6
  )

const percentile = (values: ReadonlyArray<number>, p: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? 0) * 10) / 10
}
