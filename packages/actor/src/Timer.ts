import * as Duration from "effect/Duration"

/** The longest name of a timer, in characters. */
const longestName = 200
/** Ten years, in ms. */
const longestDelay = 3_650 * 86_400_000

/** The name of a timer as a handler may give it; throws for any other. `~` begins the names that delayed sends get. */
export const named = (name: string): string => {
  const text: unknown = name
  const fine = typeof text === "string" && text.length > 0 && text.length <= longestName && !text.startsWith("~")
  if (fine && text.isWellFormed() && !text.includes("\0")) return name
  const shown = typeof text === "string" ? JSON.stringify(text.slice(0, 40)) : typeof text
  throw new TypeError(`${shown} is no name for a timer: 1 to ${longestName} characters, not beginning with "~"`)
}

/** A delay in ms; throws for one that is negative, longer than ten years or none at all. */
export const delayOf = (delay: Duration.Input): number => {
  // Effect makes 0 of NaN: a delay that was computed wrong would be over at once.
  const ms = Number.isNaN(delay) ? Number.NaN : Duration.toMillis(Duration.fromInputUnsafe(delay))
  if (ms >= 0 && ms <= longestDelay) return ms
  throw new RangeError(`${ms} ms is no delay for a timer: from 0 to 10 years`)
}
