import * as Effect from "effect/Effect"

/** Set by `troupe dev` for its children: their stdin is held open by dev and says nothing. */
export const variable = "TROUPE_PARENT"

/** Whether `troupe dev` started this process, and shows what it logs. */
export const hasParent: boolean = process.env[variable] === "stdin"

/**
 * Ends when the process that started this one is gone, however it went: its end of our stdin closes. Never, where nobody
 * promised to hold it. So no service outlives a `troupe dev` that was killed.
 */
export const parentGone: Effect.Effect<void> = Effect.suspend(() =>
  !hasParent
    ? Effect.never
    : Effect.callback<void>((resume) => {
        const gone = (): void => {
          // Nobody is left who would kill a service that cannot end.
          setTimeout(() => process.exit(1), 30_000).unref()
          resume(Effect.void)
        }
        process.stdin.once("end", gone).once("error", gone).resume()
        return Effect.sync(() => process.stdin.off("end", gone).off("error", gone).pause())
      })
)
