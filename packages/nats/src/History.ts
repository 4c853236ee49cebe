import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { describe, failure, Nats, type NatsError } from "./Nats.ts"

/** What may be purged. */
export interface Options {
  readonly stream: string
  /** Of one partition of one actor type. */
  readonly filter: string
  /** How long messages are kept for replay, by the stream's time. */
  readonly kept: Duration.Input
  /** Everything below this sequence is handled. It is kept itself: it tells whether the stream is the one that was read. */
  readonly cursor: number
}

/** Purges what is older than the window and handled; answers how many messages that were. nats-server >= 2.11. */
export const purge = ({ cursor, filter, kept, stream }: Options): Effect.Effect<number, NatsError, Nats> =>
  Effect.gen(function* () {
    if (cursor <= 1) return 0
    const { jsm } = yield* Nats
    const since = new Date((yield* Clock.currentTimeMillis) - Duration.toMillis(kept)).toISOString()
    return yield* Effect.tryPromise({
      try: async () => {
        // A consumer from a time says, when it is made, which sequence that is.
        const { delivered, name } = await jsm.consumers.add(stream, {
          ack_policy: AckPolicy.None,
          deliver_policy: DeliverPolicy.StartTime,
          opt_start_time: since,
          filter_subject: filter,
          inactive_threshold: 5_000_000_000,
          mem_storage: true
        })
        await jsm.consumers.delete(stream, name)
        const { purged } = await jsm.streams.purge(stream, { filter, seq: Math.min(delivered.stream_seq + 1, cursor) })
        return purged
      },
      catch: (cause) => failure("TRP0404", stream, describe(cause))
    })
  })
