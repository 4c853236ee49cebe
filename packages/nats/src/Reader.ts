import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream"
import { deadline, nuid } from "@nats-io/nats-core"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Consumers from "./Consumers.ts"
import * as Look from "./Look.ts"
import type * as Message from "./Message.ts"
import { Nats, type NatsError, refused } from "./Nats.ts"
import * as Position from "./Position.ts"
import * as Publisher from "./Publisher.ts"
import { Pulls } from "./Pulls.ts"

/** What is read, and where to. */
export interface Options {
  readonly stream: string
  /** One string with a literal partition: several filters, or a wildcard for the partition, cost 50-100x. */
  readonly filter: string
  /** Reads the headers of everything in the stream: a filter that everything matches costs as much as one with wildcards. */
  readonly headersOnly?: boolean
  /** What was read before; nothing: the stream's first message is the next. */
  readonly after: Position.Position | undefined
  /** What was behind that position may have been purged as handled: whoever reads was set back. Every gap is told then. */
  readonly setBack?: boolean
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
 * Reads a stream in order with a consumer of its own: no acks and no redelivery, the caller's cursor says what was
 * handled. Survives restarts of the server, also one that comes back with less than it had: whenever the consumer may
 * have been made anew, and once a minute, the stream is compared with what was read. Fails when a consumer cannot be
 * had. All readers of a connection share what they may ask the server for: see `ReadBudget`. Interrupted, it ends at once, also
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
      const { finding, position } = yield* Position.locate(options.stream, filterOf(options), after, options.setBack)
      // The start is a position too: of a reader without one nobody could tell what it missed.
      const starts = after === undefined
      after = position
      if (finding !== undefined || starts) yield* options.moved(position, finding)
      return yield* open(options, position)
    })
    while (true) {
      after = yield* Effect.scoped(
        Effect.gen(function* () {
          const reading = yield* Effect.retry(begin, { while: again, schedule: Schedule.spaced("250 millis") })
          left = tries
          yield* endWhenLost(reading.pulls)
          yield* Effect.forkScoped(looks(options, reading))
          yield* Effect.tryPromise({
            try: (signal) => pump(reading, options.into, signal),
            catch: (cause) => refused(options.stream, cause)
          })
          return reading.after
        })
      )
      // One that ends as soon as it is made must not be made in a hot loop.
      yield* Effect.sleep("50 millis")
    }
  })

const filterOf = ({ filter, headersOnly }: Options) => (headersOnly === true ? undefined : filter)

/** One consumer's time. */
interface Reading {
  readonly pulls: Pulls
  /** What was delivered last, or is known to be none of the reader's. */
  after: Position.Position
  /** The server had this many more when it sent the last one. */
  pending: number
  /** There is no room. */
  waits: boolean
}

const pump = async (reading: Reading, into: Options["into"], signal: AbortSignal): Promise<void> => {
  const created = reading.after.created ?? 0
  while (await reading.pulls.some(signal)) {
    for (let next = reading.pulls.take(); next !== undefined; next = reading.pulls.take()) {
      const { message, pending } = next
      const position = Position.of(message, created, pending)
      const room = into(message, position, pending)
      reading.after = position
      reading.pending = pending
      if (room === undefined) continue
      reading.waits = true
      await unless(signal, room)
      reading.waits = false
      if (signal.aborted) return
    }
  }
}

/** Waits for a promise, or for the end. Not by `Promise.race`: what lives long would keep every wait. */
const unless = (signal: AbortSignal, promise: Promise<void>): Promise<void> =>
  new Promise((resolve, reject) => {
    const end = (): void => resolve()
    signal.addEventListener("abort", end, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", end))
  })

/** Another connection may be to a server that has less: the stream is compared first, and read by another consumer. */
const endWhenLost = (pulls: Pulls): Effect.Effect<void, never, Nats | Scope.Scope> =>
  Effect.gen(function* () {
    const { connection } = yield* Nats
    const status = yield* Effect.acquireRelease(
      Effect.sync(() => connection.status()),
      (status) => Effect.sync(() => (status as unknown as { stop(): void }).stop())
    )
    const follow = async (): Promise<void> => {
      for await (const { type } of status) if (lostConnection.has(type)) pulls.stop()
    }
    void follow()
  })
const lostConnection: ReadonlySet<string> = new Set(["disconnect", "reconnect", "close"])

/** Looks at the stream from time to time: ends the consumer when it is not what was read, else moves to its end if it is quiet. */
const looks = (options: Options, reading: Reading): Effect.Effect<never, never, Nats> =>
  Effect.gen(function* () {
    const { filter, moved, stream } = options
    const { api } = yield* Nats
    const look = Effect.gen(function* () {
      const before = reading.after
      const { finding, tip } = yield* Effect.tryPromise(async () => {
        const { jsm } = await api(stream)
        const { log, tip } = await Look.at(jsm, stream)
        return { finding: await Position.compare(jsm, stream, filterOf(options), before, log), tip }
      })
      // One that had everything when the server last sent, and has room, gets what comes at once: nothing is deleted before.
      const quiet = reading.pending === 0 && !reading.waits && !reading.pulls.behind
      if (finding !== undefined && !(finding.code === "TRP0407" && quiet)) return reading.pulls.stop()
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
    const { api, capabilities, connection } = yield* Nats
    const { stream } = options
    const { jsm } = yield* Effect.tryPromise({
      try: () => api(stream),
      catch: (cause) => refused(stream, cause)
    })
    const { consumer, pending } = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          const { name, num_pending: pending } = await jsm.consumers.add(stream, {
            // One without a name is made by a subject that says no filter, so that no permission could bound what it reads.
            name: nuid.next(),
            ack_policy: AckPolicy.None,
            deliver_policy: DeliverPolicy.StartSequence,
            opt_start_seq: after.seq + 1,
            ...(options.headersOnly === true ? { headers_only: true } : { filter_subject: options.filter }),
            max_deliver: 1,
            mem_storage: true,
            num_replicas: 1,
            inactive_threshold: Consumers.idle
          })
          return { consumer: name, pending }
        },
        catch: (cause) => refused(stream, cause)
      }),
      ({ consumer }) => Effect.promise(() => deadline(jsm.consumers.delete(stream, consumer), 1_000).catch(() => {}))
    )
    const maxPayload = () => capabilities.maxPayload
    const created = after.created ?? 0
    const pulls = yield* Effect.acquireRelease(
      Effect.sync(
        () => new Pulls({ connection, jsm, stream, consumer, created, after: after.seq, pending, maxPayload })
      ),
      (pulls) => Effect.sync(() => pulls.stop())
    )
    return { pulls, after, pending, waits: false }
  })
