import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** The places where a crash is told apart by what it leaves behind. */
export type FailPoint =
  /** Handlers have run, nothing is committed. */
  | "before commit"
  /** Committed; nobody was told. */
  | "after commit"
  /** Committed; the next batch of the outbox is about to be published. */
  | "before publish"
  /** The stream has the batch; the watermark does not say so yet. */
  | "after publish"

/** Does nothing, unless a test of crashes says otherwise. */
export const FailPoints = Context.Reference<(point: FailPoint) => Effect.Effect<void>>("@troupe/outbox/FailPoints", {
  defaultValue: () => () => Effect.void
})
