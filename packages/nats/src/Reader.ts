import { type ConsumerMessages, DeliverPolicy } from "@nats-io/jetstream"
import { deadline } from "@nats-io/nats-core"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Look from "./Look.ts"
import * as Message from "./Message.ts"
import { describe, failure, Nats, type NatsError } from "./Nats.ts"
import * as Position from "./Position.ts"
import * as Publisher from "./Publisher.ts"

/** What is read, and where to. */
export interface Options {
  readonly stream: string
  /** One string with a literal partition: several filters, or a wildcard for the partition, cost 50-100x. */
  readonly filter: string
  /** What was read before; nothing: the stream's first message is the next. */
  readonly after: Position.Position | undefined
  /** Takes a message, and how many more the server had; a promise says that there is no room until it resolves. */
  readonly into: (message: Message.Message, position: Position.Position, pending: number) => Promise<void> | undefined
  /**
   * Reading goes on after this position: there is no message of the reader's up to it that it has not got. With a
   * finding when that is not true, or when the position is one that was passed before.
   */
  readonly moved: (to: Position.Position, finding: Position.Finding | undefined) => Effect.Effect<void>
}

/**
 * Between two looks at a stream without any other cause: for what it lost without a reconnect, and for the end of it
 * that a quiet reader moves to. Default 1 minute.
 */
export const LookEvery = Context.Reference<Duration.Input>("@troupe/nats/Reader/LookEvery", {
  defaultValue: () => "1 minute"
})

/** How often a consumer that was had before is asked for again, while the server answers. Between them 250 ms. */
const tries = 20

/**
 * Reads a stream in order with an ordered consumer: no acks and no redelivery, the caller's cursor says what was
 * handled. Survives restarts of the server, also one that comes back with less than it had: whenever the consumer may
 * have been made anew, and once a minute, the stream is compared with what was read. Fails when a consumer cannot be
 * had. Reads at most two of the server's largest messages ahead, 1 MiB at least. Interrupted, it ends at once, also
 * while there is no room, and takes its consumer along (1 s at most; else the server drops it after 5 minutes).
 * nats-server >= 2.11.
 */
export const read = (options: Options): Effect.Effect<never, NatsError, Nats> =>
  Effect.gen(function* () {
    const { connection } = yield* Nats
    let { after } = options
    let left = 0
    const again = () => !connection.isClosed() && left > 0 && (connection.info === undefined || left-- > 0)
    // What is asked of a server that is away may be lost, and is waited for in vain.
    const connected = Effect.repeat(Effect.sleep("50 millis"), {
      until: () => connection.isClosed() || connection.info !== undefined
    })
    const begin = Effect.gen(function* () {
      if (connection.info === undefined) yield* connected
      const { finding, position } = yield* Position.locate(options.stream, options.filter, after)
      after = position
      if (finding !== undefined) yield* options.moved(position, finding)
      return yield* open(options, position)
    })
    while (true) {
      after = yield* Effect.scoped(
        Effect.gen(function* () {
          const reading = yield* Effect.retry(begin, { while: again, schedule: Schedule.spaced("250 millis") })
          left = tries
          yield* endWhenRemade(reading.messages)
          yield* Effect.forkScoped(looks(options, reading))
          yield* Effect.tryPromise({
            try: (signal) => pump(reading, options.into, signal),
            catch: (cause) => failure("TRP0404", options.stream, describe(cause))
          })
          return reading.after
        })
      )
      // One that ends as soon as it is made must not be made in a hot loop.
      yield* Effect.sleep("50 millis")
    }
  })

/** One consumer's time. */
interface Reading {
  readonly messages: ConsumerMessages
  /** What was delivered last, or is known to be none of the reader's. */
  after: Position.Position
  /** The server had this many more when it sent the last one. */
  pending: number
  /** There is no room. */
  waits: boolean
}

const pump = async (reading: Reading, into: Options["into"], signal: AbortSignal): Promise<void> => {
  const created = reading.after.created ?? 0
  for await (const message of reading.messages) {
    if (signal.aborted) break
    const read = Message.of(message)
    const position = Position.of(read, created)
    const { pending } = message.info
    const room = into(read, position, pending)
    reading.after = position
    reading.pending = pending
    if (room === undefined) continue
    reading.waits = true
    await unless(signal, room)
    reading.waits = false
  }
}

/** Waits for a promise, or for the end. Not by `Promise.race`: what lives long would keep every wait. */
const unless = (signal: AbortSignal, promise: Promise<void>): Promise<void> =>
  new Promise((resolve, reject) => {
    const end = (): void => resolve()
    signal.addEventListener("abort", end, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", end))
  })

/**
 * NATS.js makes an ordered consumer anew by itself, after the last sequence that it saw, whatever the stream holds there
 * now. Before that happens ours ends; what it has received is still delivered.
 */
const endWhenRemade = (messages: ConsumerMessages): Effect.Effect<void, never, Nats | Scope.Scope> =>
  Effect.gen(function* () {
    const { connection } = yield* Nats
    const status = yield* Effect.acquireRelease(
      Effect.sync(() => connection.status()),
      (status) => Effect.sync(() => (status as unknown as { stop(): void }).stop())
    )
    const follow = async <Status extends { readonly type: string }>(
      statuses: AsyncIterable<Status>,
      ends: ReadonlySet<string>
    ): Promise<void> => {
      for await (const { type } of statuses) if (ends.has(type)) messages.stop()
    }
    void follow(status, lostConnection)
    void follow(messages.status(), lostConsumer)
  })
const lostConnection: ReadonlySet<string> = new Set(["disconnect", "reconnect", "close"])
const lostConsumer: ReadonlySet<string> = new Set([
  // Also when there was no room for 2 s while the server had more: it may have deleted what it could not send.
  "heartbeats_missed",
  "consumer_not_found",
  "consumer_deleted",
  "stream_not_found",
  "no_responders",
  "reset",
  "ordered_consumer_recreated"
])

/** Looks at the stream from time to time: ends the consumer when it is not what was read, else moves to its end if it is quiet. */
const looks = (options: Options, reading: Reading): Effect.Effect<never, never, Nats> =>
  Effect.gen(function* () {
    const { filter, moved, stream } = options
    const { api } = yield* Nats
    const look = Effect.gen(function* () {
      const before = reading.after
      const { log, there, tip } = yield* Effect.tryPromise(async () => {
        const { jsm } = await api(stream)
        const look = await Look.at(jsm, stream)
        return { ...look, there: await Position.stored(jsm, stream, before.seq, look.log) }
      })
      const finding = Position.judge(before, log, there)
      // One that had everything when the server last sent, and has room, gets what comes at once: nothing is deleted before.
      const quiet = reading.pending === 0 && !reading.waits
      if (finding !== undefined && !(finding.code === "TRP0407" && quiet)) return reading.messages.stop()
      // Asked after the look: up to the stream's last message then, all that is the reader's was delivered.
      const mine = yield* Publisher.lastOf(stream, filter)
      const { seq } = reading.after
      if (tip !== undefined && tip.seq > seq && (mine?.sequence ?? 0) <= seq) reading.after = tip
      yield* moved(reading.after, undefined)
    })
    // A server that does not answer is met by the consumer too.
    return yield* Effect.forever(Effect.andThen(Effect.sleep(yield* LookEvery), Effect.ignore(look)))
  })

const open = (options: Options, after: Position.Position): Effect.Effect<Reading, NatsError, Nats | Scope.Scope> =>
  Effect.gen(function* () {
    const { api, capabilities } = yield* Nats
    const { messages, pending } = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          const { js } = await api(options.stream)
          const consumer = await js.consumers.get(options.stream, {
            filter_subjects: options.filter,
            deliver_policy: DeliverPolicy.StartSequence,
            opt_start_seq: after.seq + 1
          })
          const { num_pending: pending } = await consumer.info(true)
          const messages = await consumer.consume({
            max_bytes: Math.max(2 * capabilities.maxPayload, 1024 ** 2),
            idle_heartbeat: 1_000,
            expires: 30_000
          })
          return { consumer, messages, pending }
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
    return { messages, after, pending, waits: false }
  })
