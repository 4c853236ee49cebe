import { Reason } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** Asks an endpoint again and again. */
export interface Answers {
  /** Ends when it answers 200. */
  readonly ok: Effect.Effect<void>
  /** What it answered last. */
  readonly why: () => string
}

/** Whether a health endpoint of a service answers 200, asked every 100 ms, 2 s at most each time. */
export const until200 = (url: string): Answers => {
  let why = `${url} was not asked yet`
  const ask = Effect.tryPromise({
    try: async (signal) => {
      const answer = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(2_000)]) })
      const body = (await answer.text()).replace(/\s+/g, " ").slice(0, 200)
      if (answer.status !== 200) throw new Error(`${url} says ${answer.status} ${body}`.trim())
    },
    catch: (cause) => (why = Reason.chain(cause))
  })
  return { ok: Effect.orDie(Effect.retry(ask, Schedule.spaced("100 millis"))), why: () => why }
}
