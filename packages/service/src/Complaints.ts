import { Reason } from "@troupe/contract"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Warns of what fails again and again: at once when the reason is new, but once a second at most; else once a minute. */
export interface Complaints {
  /** `what` failed. */
  readonly tell: (what: string, why: unknown) => Effect.Effect<void>
  /** It went well, or matters no longer: the next failure is told at once. */
  readonly settle: (what: string) => void
}

const often = 1_000
const seldom = 60_000

export const make = (): Complaints => {
  const told = new Map<string, { readonly text: string; readonly at: number }>()
  return {
    tell: (what, why) =>
      Effect.gen(function* () {
        const text = Reason.chain(why)
        const now = Number((yield* Clock.monotonicTimeNanos) / 1_000_000n)
        const before = told.get(what)
        if (before !== undefined && now - before.at < (before.text === text ? seldom : often)) return
        told.set(what, { text, at: now })
        yield* Effect.logWarning(`${what}: ${text}`)
      }),
    settle: (what) => void told.delete(what)
  }
}
