import { type ConsumerMessages, DeliverPolicy, type JsMsg } from "@nats-io/jetstream"
import { deadline } from "@nats-io/nats-core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { describe, failure, Nats, type NatsError } from "./Nats.ts"

/** What is read, and where to. */
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
 * server's largest messages ahead, 1 MiB at least. Interrupted, it ends at once, also while there is no room, and takes
 * its consumer along (1 s at most; else the server drops it after 5 minutes). nats-server >= 2.11.
 */
export const read = (options: Options): Effect.Effect<never, NatsError, Nats> =>
  Effect.scoped(
    Effect.gen(function* () {
      const messages = yield* open(options)
      yield* Effect.tryPromise({
        try: (signal) => pump(messages, options.into, signal),
        catch: (cause) => failure("TRP0404", options.stream, describe(cause))
      })
      return yield* failure("TRP0404", options.stream, "its reader ended")
    })
  )

const pump = async (messages: ConsumerMessages, into: Options["into"], signal: AbortSignal): Promise<void> => {
  for await (const message of messages) {
    if (signal.aborted) break
    const room = into(message)
    if (room !== undefined) await unless(signal, room)
  }
}

/** Waits for a promise, or for the end. Not by `Promise.race`: what lives long would keep every wait. */
const unless = (signal: AbortSignal, promise: Promise<void>): Promise<void> =>
  new Promise((resolve, reject) => {
    const end = (): void => resolve()
    signal.addEventListener("abort", end, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", end))
  })

const open = (options: Options): Effect.Effect<ConsumerMessages, NatsError, Nats | Scope.Scope> =>
  Effect.gen(function* () {
    const { capabilities, js } = yield* Nats
    const { messages } = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          const consumer = await js.consumers.get(options.stream, {
            filter_subjects: options.filter,
            deliver_policy: DeliverPolicy.StartSequence,
            opt_start_seq: options.from
          })
          const messages = await consumer.consume({
            max_bytes: Math.max(2 * capabilities.maxPayload, 1024 ** 2),
            idle_heartbeat: 1_000,
            expires: 30_000
          })
          return { consumer, messages }
        },
        catch: (cause) => failure("TRP0404", options.stream, describe(cause))
      }),
      ({ consumer, messages }) =>
        Effect.promise(async () => {
          // Not `close`: it waits for the iterator to come by, and one that nobody pulls never does.
          messages.stop()
          await deadline(consumer.delete(), 1_000).catch(() => {})
        })
    )
    return messages
  })
