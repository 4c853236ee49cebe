import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Nats, type NatsError, refused } from "./Nats.ts"
import * as Position from "./Position.ts"

/** What may be purged. */
export interface Options {
  readonly stream: string
  /** Of one partition of one actor type. */
  readonly filter: string
  /** How long messages are kept for replay, by the stream's time. */
  readonly kept: Duration.Input
  /** Purges up to this sequence instead, whatever the age: the stream has no room. */
  readonly upTo?: number
  /** Everything before it is handled. It is kept itself: it tells whether the stream is the one that was read. */
  readonly cursor: Position.Position
}

/** One message of a stream. */
export interface Place {
  readonly stream: string
  readonly sequence: number
  /** Its `ce-id`; empty when it has none. */
  readonly id: string
}

/** Deletions that are under way at once. */
const atOnce = 64

/**
 * Deletes messages that must not be read again. A message that is gone is no error, and one with another id is left: a stream
 * that was set back since it was read may have a new message at the same sequence. nats-server >= 2.11.
 */
export const forget = (places: ReadonlyArray<Place>): Effect.Effect<void, NatsError, Nats> =>
  Effect.flatMap(Nats, ({ jsm }) =>
    Effect.forEach(
      places,
      ({ id, sequence, stream }) =>
        Effect.tryPromise({
          try: async () => {
            const there = await jsm.streams.getMessage(stream, { seq: sequence })
            if (there === null || there.header.get("ce-id") !== id) return
            // Not overwritten: that would take its time.
            await jsm.streams.deleteMessage(stream, sequence, false).catch((cause: unknown) => {
              if (!isGone(cause)) throw cause
            })
          },
          catch: (cause) => refused(stream, cause)
        }),
      { concurrency: atOnce, discard: true }
    )
  )
/** JetStream's 10043 and 10057: there is no such message, or it cannot be deleted since it is not there. */
const isGone = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && (cause.code === 10043 || cause.code === 10057)

/**
 * Purges what is older than the window and handled; answers how many messages that were. None of a stream that lost
 * messages since it was read: what it has below the cursor may be new. nats-server >= 2.11.
 */
export const purge = ({ cursor, filter, kept, stream, upTo }: Options): Effect.Effect<number, NatsError, Nats> =>
  Effect.gen(function* () {
    if (cursor.seq <= 1) return 0
    const { jsm } = yield* Nats
    return yield* Effect.tryPromise({
      try: async () => {
        const log = await Position.held(jsm, stream)
        const there = await Position.stored(jsm, stream, cursor.seq, log)
        if (Position.judge(cursor, log, there)?.code === "TRP0408") return 0
        const since = log.now - Duration.toMillis(Duration.fromInputUnsafe(kept))
        const first = upTo ?? (await Position.sequenceAt(jsm, stream, filter, since))
        const { purged } = await jsm.streams.purge(stream, { filter, seq: Math.min(first, cursor.seq) })
        return purged
      },
      catch: (cause) => refused(stream, cause)
    })
  })
