/** A service that dies more often than so in a minute is given up. */
export const atMost = 5
const window = 60_000

/** When a service was started again, in ms of a monotonic clock; only the last minute's are kept. */
export type Restarts = ReadonlyArray<number>

/** What to do about a service that died by itself at `now`: start it again after `delay` ms, or give it up. */
export const next = (
  before: Restarts,
  now: number
): { readonly restarts: Restarts; readonly delay: number } | "give up" => {
  const recent = before.filter((at) => now - at < window)
  if (recent.length >= atMost) return "give up"
  return { restarts: [...recent, now], delay: Math.min(5_000, 100 * 2 ** recent.length) }
}
