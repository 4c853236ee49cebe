import type { Partition } from "@troupe/actor/engine"
import { Codes, Reason } from "@troupe/contract"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

interface Losses {
  /** Of the last minute, in ms of the monotonic clock. */
  at: ReadonlyArray<number>
  told: number
}
const losses = new WeakMap<Partition.Progress, Losses>()

/**
 * A partition was lost: waits, longer each time, before it may be taken anew. One that is lost three times in a minute is
 * told, once a minute.
 */
export const lost = (progress: Partition.Progress, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.gen(function* () {
    progress.failures++
    progress.trouble = Reason.chain(cause)
    const now = Number((yield* Clock.monotonicTimeNanos) / 1_000_000n)
    const before = losses.get(progress) ?? { at: [], told: Number.NEGATIVE_INFINITY }
    const at = [...before.at.filter((loss) => loss > now - 60_000), now]
    const tell = at.length >= 3 && before.told < now - 60_000
    losses.set(progress, { at, told: tell ? now : before.told })
    if (tell)
      yield* Effect.logWarning(
        Codes.text(
          "TRP0328",
          `${progress.consumer.name}, partition ${progress.p}`,
          `it was lost ${at.length} times within a minute, and is taken anew: ${progress.trouble}`
        )
      )
    yield* Effect.sleep(Math.min(5_000, 50 * 2 ** progress.failures) * (0.5 + Math.random() / 2))
  })
