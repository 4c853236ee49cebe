import { monitorEventLoopDelay } from "node:perf_hooks"

/** What a process under attack says of itself, once a second. */
export interface Vitals {
  /** In bytes. */
  readonly rss: number
  /** Since the last ones, in ms: the percentiles 0.5 to 99.5. */
  readonly loopDelayMs: ReadonlyArray<number>
  readonly loopDelayMaxMs: number
  /** Since the start. */
  readonly unhandledRejections: number
  readonly uncaughtExceptions: number
  readonly last: string | undefined
}

export type Said = { readonly ready: string } | { readonly vitals: Vitals }

/** Resolution of the event loop's delay, in ms: a timer of so many, and what it came later. */
const resolution = 10

/** Sends its vitals to the process that started it, and ends when that is gone. */
export const report = (): void => {
  process.on("disconnect", () => process.exit(1))
  let unhandledRejections = 0
  let uncaughtExceptions = 0
  let last: string | undefined
  const note = (cause: unknown): void => {
    last = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
  }
  process.on("unhandledRejection", (cause) => {
    unhandledRejections++
    note(cause)
  })
  process.on("uncaughtExceptionMonitor", (cause) => {
    uncaughtExceptions++
    note(cause)
  })
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  const percentiles = Array.from({ length: 100 }, (_, i) => i + 0.5)
  setInterval(() => {
    const late = (ns: number): number => Math.max(0, ns / 1e6 - resolution)
    const loopDelayMs = delay.count === 0 ? [] : percentiles.map((p) => late(delay.percentile(p)))
    const loopDelayMaxMs = delay.count === 0 ? 0 : late(delay.max)
    delay.reset()
    const rss = process.memoryUsage.rss()
    say({ vitals: { rss, loopDelayMs, loopDelayMaxMs, unhandledRejections, uncaughtExceptions, last } })
  }, 1_000).unref()
}

export const say = (said: Said): void => void process.send?.(said)
