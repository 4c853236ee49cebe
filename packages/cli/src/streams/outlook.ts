import type { Topology } from "@troupe/nats"
import * as Duration from "effect/Duration"

/** What becomes of a stream at the rate of what it holds. */
export interface Outlook {
  /** Bytes that are published in a second; none where the time seen is too short for a rate. */
  readonly rate: number | undefined
  /** The time over which the rate is taken, in ms. */
  readonly spanMs: number
  /** The day (UTC, `2026-12-31`) on which it will be full; none when it is not filled, or not within ten years. */
  readonly fullOn: string | undefined
  /** The part of its bytes that it will hold for good: what is published within the time for which it is kept. */
  readonly settles: number
  /** A sentence of all that. */
  readonly says: string
}

const day = 86_400_000
const horizon = 3_650 * day

/** Less than this, in ms, is a burst and no rate, unless the stream is small or the burst has filled a tenth of it. */
const useful = 600_000
/** Bytes up to which a stream is small: the default is 1 GiB. */
const small = 64 * 1024 ** 2

/**
 * The arithmetic of a stream: rate = what was published since its first message / the time since then, over the last
 * `kept` at most. It settles at rate x kept; where that is more than it may hold, it is full after what is free / rate.
 * `kept` is the age of events, or the history of commands, as long as they are handled in time.
 */
export const outlook = ({ config, state }: Topology.Info, keptFor: Duration.Input, now: number): Outlook => {
  const limit = config.max_bytes
  const kept = Duration.toMillis(keptFor)
  const none = { fullOn: undefined, settles: 0 }
  if (state.messages === 0) return { rate: 0, spanMs: 0, ...none, says: "nothing is published" }
  const spanMs = Math.max(1_000, now - Date.parse(state.first_ts))
  if (spanMs < useful && !(limit > 0 && (limit <= small || state.bytes >= limit / 10))) {
    const says = `its first message is ${span(spanMs)} old: too short a time for a rate`
    return { rate: undefined, spanMs, ...none, says }
  }
  const published = state.last_seq - state.first_seq + 1
  const rate = (published / spanMs) * (state.bytes / state.messages)
  const settles = limit > 0 ? (rate * kept) / limit : 0
  const left = rate > 0 && limit > 0 ? Math.max(0, limit - state.bytes) / rate : Infinity
  const fullOn = settles > 1 && left < horizon ? new Date(now + left).toISOString().slice(0, 10) : undefined
  const takes = `${pace(rate * 1_000, spanMs)}, kept for ${shown(keptFor)}, come to ${size(rate * kept)}`
  const then = limit <= 0 ? "" : fullOn === undefined ? ": it will not be full" : `: ${whenFull(config.name, fullOn)}`
  return { rate: rate * 1_000, spanMs, fullOn, settles, says: `${takes}${then}` }
}

/** What happens to a stream when it gets full. */
export const whenFull = (stream: string, fullOn: string): string =>
  stream.startsWith("CMD_")
    ? `full on ${fullOn} if none were deleted before; from half full on handled commands are, so their history gets shorter, and senders are refused only when commands that nobody handles fill it`
    : `full on ${fullOn}: from then on its oldest messages are deleted before their age`

/** A rate, in bytes a second, and the time over which it was taken. */
export const pace = (rate: number, spanMs: number): string => `${size(rate)}/s over the last ${span(spanMs)}`

const span = (ms: number): string => {
  const [unit, length] = (
    [
      ["days", day],
      ["hours", 3_600_000],
      ["minutes", 60_000],
      ["seconds", 1_000]
    ] as const
  ).find(([, length]) => ms >= 2 * length) ?? ["s", 1_000]
  return `${Math.round(ms / length)} ${unit}`
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
