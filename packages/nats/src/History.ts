import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { describe, failure, Nats, type NatsError } from "./Nats.ts"
import * as Position from "./Position.ts"

/** What may be purged. */
export interface Options {
  readonly stream: string
  /** Of one partition of one actor type. */
  readonly filter: string
  /** How long messages are kept for replay, by the stream's time. */
  readonly kept: Duration.Input
  /** Everything before it is handled. It is kept itself: it tells whether the stream is the one that was read. */
  readonly cursor: Position.Position
}

/**
 * Purges what is older than the window and handled; answers how many messages that were. None of a stream that lost
 * messages since it was read: what it has below the cursor may be new. nats-server >= 2.11.
 */
export const purge = ({ cursor, filter, kept, stream }: Options): Effect.Effect<number, NatsError, Nats> =>
  Effect.gen(function* () {
    if (cursor.seq <= 1) return 0
    const { jsm } = yield* Nats
    return yield* Effect.tryPromise({
      try: async () => {
        const log = await Position.held(jsm, stream)
        const there = await Position.stored(jsm, stream, cursor.seq, log)
        if (Position.judge(cursor, log, there)?.code === "TRP0408") return 0
        const since = log.now - Duration.toMillis(Duration.fromInputUnsafe(kept))
        const first = await Position.sequenceAt(jsm, stream, filter, since)
        const { purged } = await jsm.streams.purge(stream, { filter, seq: Math.min(first, cursor.seq) })
        return purged
      },
      catch: (cause) => failure("TRP0404", stream, describe(cause))
    })
  })
