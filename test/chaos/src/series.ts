import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { type Options, type Report, run as one } from "./run.ts"
import { kinds } from "./schedule.ts"

/** A report with its violations counted. */
export type Counted = Omit<Report, "violations"> & { readonly violations: number }
export const counted = ({ violations, ...report }: Report): Counted => ({ ...report, violations: violations.length })

/** Totals of several runs; throughput is their mean. */
export type Total = Counted & { readonly violationsBySeed: { readonly [seed: string]: number } }

/** The most seeds of one series. */
const most = 1_000

/** The seeds of `A-B`. Throws for anything else. */
export const seeds = (range: string): ReadonlyArray<number> => {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(range) ?? []
  const [from, to] = [Number(first), Number(last)]
  if (!(from <= to && to - from < most)) throw new Error(`--seeds ${range} is not A-B, ${most} seeds at most`)
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}

const nothing: Report = {
  faults: {},
  asks: 0,
  transfers: 0,
  throughput: 0,
  takeOvers: 0,
  hostsKilledByHealth: 0,
  wedgedKilledByHealth: 0,
  violations: []
}

/** Runs seed after seed. One that fails is told, and does not stop the rest. */
export const run = (seeds: ReadonlyArray<number>, options: Omit<Options, "seed">): Effect.Effect<Total> =>
  Effect.forEach(seeds, (seed) =>
    one({ ...options, seed }).pipe(
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : Effect.succeed({ ...nothing, violations: [`the run failed: ${String(Cause.squash(cause))}`] })
      ),
      Effect.tap((report) =>
        Effect.sync(() => options.tell(`seed ${seed}: ${JSON.stringify({ ...report, violations: report.violations })}`))
      )
    )
  ).pipe(Effect.map((reports) => total(seeds, reports)))

/** Adds up what each seed gave. */
export const total = (seeds: ReadonlyArray<number>, reports: ReadonlyArray<Report>): Total => {
  const sum = (of: (report: Report) => number) => reports.reduce((sum, report) => sum + of(report), 0)
  const fired = kinds.map((kind) => [kind, sum(({ faults }) => faults[kind] ?? 0)] as const)
  return {
    faults: Object.fromEntries(fired.filter(([, times]) => times > 0)),
    asks: sum(({ asks }) => asks),
    transfers: sum(({ transfers }) => transfers),
    throughput: Math.round((sum(({ throughput }) => throughput) / reports.length) * 10) / 10,
    takeOvers: sum(({ takeOvers }) => takeOvers),
    hostsKilledByHealth: sum(({ hostsKilledByHealth }) => hostsKilledByHealth),
    wedgedKilledByHealth: sum(({ wedgedKilledByHealth }) => wedgedKilledByHealth),
    violations: sum(({ violations }) => violations.length),
    violationsBySeed: Object.fromEntries(seeds.map((seed, i) => [seed, reports[i]!.violations.length]))
  }
}
