import { deadline } from "@nats-io/nats-core"
import { Nats } from "@troupe/nats"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Delivery } from "./Delivery.ts"

/**
 * Says whether nobody waits for a command any more: its deadline counts from the moment at which the stream took it, by
 * the stream's clock. This machine's clock, which may be wrong, has no part in it. In doubt the command is handled:
 * always, where nobody has read the stream's clock.
 */
export const Deadlines = Context.Reference<{ readonly over: (delivery: Delivery) => Effect.Effect<boolean> }>(
  "@troupe/actor/Deadlines",
  { defaultValue: () => ({ over: () => no }) }
)
const no = Effect.succeed(false)

/** Clocks of the streams that a host reads, read from the server that keeps them. */
export const layer: Layer.Layer<never, never, Nats> = Layer.effect(
  Deadlines,
  Effect.map(Nats, ({ jsm }) =>
    make(
      async (stream) => {
        const { ts } = (await deadline(jsm.streams.info(stream), 1_000)) as { readonly ts?: string }
        return Date.parse(ts ?? "")
      },
      () => performance.now()
    )
  )
)

/** For how long a reading is believed, in ms: that a deadline has not passed, and that it has. A server's clock may be set. */
const trusted = { inTime: 30_000, over: 1_000 }

/** `read` answers what a stream's clock says, in ms since 1970; `monotonic` are the ms of this process. */
export const make = (
  read: (stream: string) => Promise<number>,
  monotonic: () => number
): (typeof Deadlines)["Service"] => {
  const clocks = new Map<string, StreamClock>()
  return {
    over: ({ envelope: { deadlineMs }, incoming: { message, stream } }) => {
      if (deadlineMs === undefined) return no
      const clock = clocks.get(stream) ?? new StreamClock(() => read(stream), monotonic)
      clocks.set(stream, clock)
      const isOver = () => clock.now() > message.time + deadlineMs
      if (clock.age() <= (isOver() ? trusted.over : trusted.inTime)) return Effect.succeed(isOver())
      return Effect.promise(() => clock.refresh().then(isOver))
    }
  }
}

class StreamClock {
  private readonly read: () => Promise<number>
  private readonly monotonic: () => number
  /** What it said, less the ms of this process when its answer was there. */
  private offset = Number.NEGATIVE_INFINITY
  private asked = Number.NEGATIVE_INFINITY
  private underway: Promise<void> | undefined

  constructor(read: () => Promise<number>, monotonic: () => number) {
    this.read = read
    this.monotonic = monotonic
  }

  /** No later than what it says: its answer took time. */
  now(): number {
    return this.monotonic() + this.offset
  }
  age(): number {
    return this.monotonic() - this.asked
  }
  refresh(): Promise<void> {
    return (this.underway ??= this.look().finally(() => {
      this.underway = undefined
    }))
  }
  private async look(): Promise<void> {
    try {
      const time = await this.read()
      if (!Number.isNaN(time)) this.offset = time - this.monotonic()
    } catch {
      // Nothing was learned: what was read before holds.
    }
    this.asked = this.monotonic()
  }
}
