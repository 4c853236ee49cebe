import type { Topology } from "@troupe/nats"
import * as Duration from "effect/Duration"

/** What becomes of a stream at the rate of what it holds. */
export interface Outlook {
  /** Bytes that are published in a second. */
  readonly rate: number
  /** The day (UTC, `2026-12-31`) on which it will be full; none when it is not filled, or not within ten years. */
  readonly fullOn: string | undefined
  /** The part of its bytes that it will hold for good: what is published within the time for which it is kept. */
  readonly settles: number
  /** A sentence of all that. */
  readonly says: string
}

const day = 86_400_000
const horizon = 3_650 * day

/**
 * The arithmetic of a stream: rate = what was published since its first message / the time since then, over the last
 * `kept` at most. It settles at rate x kept; where that is more than it may hold, it is full after what is free / rate.
 * `kept` is the age of events, or the history of commands, as long as they are handled in time.
 */
export const outlook = ({ config, state }: Topology.Info, keptFor: Duration.Input, now: number): Outlook => {
  const limit = config.max_bytes
  const kept = Duration.toMillis(keptFor)
  const published = state.messages === 0 ? 0 : state.last_seq - state.first_seq + 1
  // A burst of a moment is no rate.
  const elapsed = Math.max(1_000, now - Date.parse(state.first_ts))
  const rate = published === 0 ? 0 : (published / elapsed) * (state.bytes / state.messages)
  const settles = limit > 0 ? (rate * kept) / limit : 0
  const left = rate > 0 && limit > 0 ? Math.max(0, limit - state.bytes) / rate : Infinity
  const fullOn = settles > 1 && left < horizon ? new Date(now + left).toISOString().slice(0, 10) : undefined
  return {
    rate: rate * 1_000,
    fullOn,
    settles,
    says: sentence({ rate: rate * 1_000, fullOn, settles }, keptFor, limit)
  }
}

const sentence = ({ fullOn, rate, settles }: Omit<Outlook, "says">, kept: Duration.Input, limit: number): string => {
  if (rate === 0) return "nothing is published"
  const takes = `${size(rate)}/s for ${shown(kept)} take ${size(settles * limit)}`
  if (limit <= 0) return takes
  return fullOn === undefined ? `${takes}: it will not be full` : `${takes}: full on ${fullOn}`
}

/** Bytes for a person. */
export const size = (bytes: number): string => {
  const steps = ["bytes", "KiB", "MiB", "GiB", "TiB"]
  const step = bytes < 1 ? 0 : Math.min(steps.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** step
  return `${value < 10 && step > 0 ? value.toFixed(1) : Math.round(value)} ${steps[step]}`
}

/** A duration for a person: `30d`. */
export const shown = (duration: Duration.Input): string => {
  const ms = Duration.toMillis(duration)
  const [unit, length] = (
    [
      ["d", day],
      ["h", 3_600_000],
      ["m", 60_000],
      ["s", 1_000]
    ] as const
  ).find(([, length]) => ms >= length && ms % length === 0) ?? ["ms", 1]
  return `${ms / length}${unit}`
}
