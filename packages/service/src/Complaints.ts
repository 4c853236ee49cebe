import { Codes, Reason } from "@troupe/contract"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Warns of what fails again and again: at once when the reason is new, but once a second at most; else once a minute. */
export interface Complaints {
  /** It failed, at `to`. */
  readonly tell: (code: Codes.Code, to: string, why: unknown) => Effect.Effect<void>
  /** It went well, or matters no longer: the next failure is told at once. */
  readonly settle: (code: Codes.Code, to: string) => void
}

const often = 1_000
const seldom = 60_000

/** A line with the code of its reason, if that has one, else with this one. */
export const coded = (code: Codes.Code, to: string, why: string): string =>
  /^TRP\d{4} /.test(why) ? why : Codes.text(code, to, why)

export const make = (): Complaints => {
  const told = new Map<string, { readonly text: string; readonly at: number }>()
  return {
    tell: (code, to, why) =>
      Effect.gen(function* () {
        const text = coded(code, to, Reason.chain(why))
        const now = Number((yield* Clock.monotonicTimeNanos) / 1_000_000n)
        const before = told.get(code + to)
        if (before !== undefined && now - before.at < (before.text === text ? seldom : often)) return
        told.set(code + to, { text, at: now })
        yield* Effect.logWarning(text)
      }),
    settle: (code, to) => void told.delete(code + to)
  }
}
