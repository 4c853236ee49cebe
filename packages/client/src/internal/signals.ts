import type { Reply } from "@troupe/contract"
import * as Effect from "effect/Effect"
import type { Reason } from "../ClientError.ts"

/** What can happen to a message on its way. */
export type Signal =
  /** The stream has it, or had it before. */
  | { readonly _tag: "Acked"; readonly duplicate: boolean }
  | { readonly _tag: "Answered"; readonly reply: Reply.Reply }
  /** It was not taken. `passing`: it may be taken a little later. */
  | { readonly _tag: "Refused"; readonly reason: Reason; readonly passing: boolean }
  | { readonly _tag: "Reconnected" }

/**
 * The signals of one message: one reader, no fiber of its own. Bounded by what is published: each publish is acknowledged
 * once, and a message ends with its first answer.
 */
export class Signals {
  private readonly arrived: Array<Signal> = []
  private wake: ((signal: Signal) => void) | undefined

  offer(signal: Signal): void {
    if (this.wake === undefined) this.arrived.push(signal)
    else this.wake(signal)
  }

  /**
   * The next signal, or `undefined` after `ms` (at most 2^31). The platform's timer: one of `Clock` needs two fibers, which
   * is a third of what an ask costs, and nobody answers in a test's time anyway.
   */
  next(ms: number): Effect.Effect<Signal | undefined> {
    return Effect.callback((resume) => {
      const signal = this.arrived.shift()
      if (signal !== undefined || !(ms > 0)) return resume(Effect.succeed(signal))
      const end = (signal: Signal | undefined): void => {
        this.wake = undefined
        clearTimeout(timer)
        resume(Effect.succeed(signal))
      }
      const timer = setTimeout(end, ms, undefined)
      this.wake = end
      return Effect.sync(() => {
        this.wake = undefined
        clearTimeout(timer)
      })
    })
  }
}
