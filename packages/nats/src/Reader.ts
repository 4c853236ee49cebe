import { type ConsumerMessages, DeliverPolicy, type JsMsg } from "@nats-io/jetstream"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { describe, failure, Nats, type NatsError } from "./Nats.ts"

export interface Options {
  readonly stream: string
  /** One string with a literal partition: several filters, or a wildcard for the partition, cost 50-100x. */
  readonly filter: string
  /** The first sequence to read. */
  readonly from: number
  /** Takes a message; a promise says that there is no room for the next one until it resolves. */
  readonly into: (message: JsMsg) => Promise<void> | undefined
}

/**
 * Reads a stream in order with an ordered consumer: no acks and no redelivery, the caller's cursor says what was
 * handled. Survives restarts of the server; fails when the consumer cannot be had or ends. Reads at most two of the
 * server's largest messages ahead, 1 MiB at least. nats-server >= 2.11.
 */
export const read = (options: Options): Effect.Effect<never, NatsError, Nats> =>
  Effect.scoped(
    Effect.gen(function* () {
      const messages = yield* open(options)
      yield* Effect.tryPromise({
        try: async () => {
          for await (const message of messages) {
            const room = options.into(message)
            if (room !== undefined) await room
          }
        },
        catch: (cause) => failure("TRP0404", options.stream, describe(cause))
      })
      return yield* failure("TRP0404", options.stream, "its reader ended")
    })
  )

const open = (options: Options): Effect.Effect<ConsumerMessages, NatsError, Nats | Scope.Scope> =>
  Effect.gen(function* () {
    const { capabilities, js } = yield* Nats
    return yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          const consumer = await js.consumers.get(options.stream, {
            filter_subjects: options.filter,
            deliver_policy: DeliverPolicy.StartSequence,
            opt_start_seq: options.from
          })
          return consumer.consume({
            max_bytes: Math.max(2 * capabilities.maxPayload, 1024 ** 2),
            idle_heartbeat: 1_000,
            expires: 30_000
          })
        },
        catch: (cause) => failure("TRP0404", options.stream, describe(cause))
      }),
      (messages) => Effect.promise(async () => void (await messages.close()))
    )
  })
