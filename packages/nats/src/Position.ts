import {
  AckPolicy,
  type ConsumerConfig,
  type ConsumerInfo,
  DeliverPolicy,
  DiscardPolicy,
  type JetStreamManager,
  RetentionPolicy,
  type StreamConfig,
  type StreamInfo
} from "@nats-io/jetstream"
import { nuid } from "@nats-io/nats-core"
import type { Codes } from "@troupe/contract"
import * as Effect from "effect/Effect"
import type { Message } from "./Message.ts"
import { Nats, type NatsError, refused } from "./Nats.ts"

/** How far a stream is read, with what tells whether it still is the stream that was read. */
export interface Position {
  /** Sequence of the last message that was read, or that is known to be none of the reader's. */
  readonly seq: number
  /** Its `ce-id`, 200 characters at most; empty when it had none. */
  readonly id: string
  /** The stream's time of it, ms since 1970. */
  readonly at?: number
  /** When the stream was created, ms since 1970. */
  readonly created?: number
  /** How many more messages of the reader's the stream had when this one was delivered. */
  readonly left?: number
}

/** What a stream holds. */
export interface Log {
  readonly created: number
  readonly first: number
  readonly last: number
  /** The server deletes nothing by itself: neither by age nor to make room. */
  readonly keeps: boolean
}

/** The same, and the time of the server that keeps it, ms since 1970. This machine's clock may be wrong. */
export interface Held extends Log {
  readonly now: number
}

/** What happened to a stream since it was read. */
export interface Finding {
  /** TRP0407: messages were deleted before they were read. TRP0408: the stream lost messages that it had acknowledged. */
  readonly code: Extract<Codes.Code, "TRP0407" | "TRP0408">
  readonly why: string
}

export const of = ({ headers, seq, time }: Message, created: number, left: number): Position => ({
  seq,
  id: (headers.get("ce-id") ?? "").slice(0, 200),
  at: time,
  created,
  ...(left === 0 ? {} : { left })
})

/**
 * Compares what was read with the stream, and with what it holds at that sequence. Proof of a loss is another time of
 * creation, a last sequence below the position, or another message there. A message that is missing there is none: the
 * owner of another partition may have purged it.
 *
 * A stream that begins behind the position may have deleted messages unread. Where the server deletes nothing by itself, others
 * have purged what they had handled, and only what was known to wait proves a loss: `left` is how much of it is there.
 */
export const judge = (after: Position, log: Log, there: Position | undefined, left?: number): Finding | undefined => {
  const lost = (why: string): Finding => ({ code: "TRP0408", why })
  if (after.created !== undefined && after.created !== log.created)
    return lost(`it was created ${when(after.created)}, and anew ${when(log.created)}`)
  if (log.last < after.seq) return lost(`it was read up to ${after.seq}, and now ends at ${log.last}`)
  // The client knows times to the nearest millisecond only.
  const later = after.at !== undefined && Math.abs((there?.at ?? after.at) - after.at) > 1
  if (there !== undefined && (there.id !== after.id || later))
    return lost(`it was read up to ${after.seq}, and now has another message there`)
  if (!beginsLater(after, log)) return undefined
  const why = `it was read up to ${after.seq}, and now begins at ${log.first}`
  if (!log.keeps) return { code: "TRP0407", why }
  const { left: known = 0 } = after
  return left === undefined || left >= known
    ? undefined
    : { code: "TRP0407", why: `${why}; of ${known} messages that waited ${left} are there` }
}

const beginsLater = ({ seq }: Position, { first }: Log): boolean => first > seq + 1

/** Asks the stream for what `judge` has to know. */
export const compare = async (
  jsm: JetStreamManager,
  stream: string,
  filter: string | undefined,
  after: Position,
  log: Log
): Promise<Finding | undefined> => {
  const there = await stored(jsm, stream, after.seq, log)
  // Of everything in the stream others have purged some: that counts for nothing.
  const counts = log.keeps && beginsLater(after, log) && filter !== undefined && (after.left ?? 0) > 0
  return judge(after, log, there, counts ? await countAfter(jsm, stream, filter, after.seq) : undefined)
}

const when = (ms: number): string => new Date(ms).toISOString()

/** How much of what was read before is read again after a loss: servers' clocks may differ. */
const margin = 5 * 60_000
/** How far back is read when the time is not known: what the inbox surely remembers. */
const remembered = 6 * 24 * 60 * 60_000

/**
 * Where to read on: after the position, or, when the stream lost messages, from five minutes before its time, or, when
 * messages were deleted, from the first that is left. Nothing read yet: from the first message. `doubted`: messages behind the
 * position may have been purged as handled, though whoever reads on has not handled them.
 */
export const locate = (
  stream: string,
  filter: string | undefined,
  after: Position | undefined,
  doubted = false
): Effect.Effect<{ readonly position: Position; readonly finding: Finding | undefined }, NatsError, Nats> =>
  Effect.flatMap(Nats, ({ api }) =>
    Effect.tryPromise({
      try: async () => {
        const { jsm } = await api(stream)
        const log = await held(jsm, stream)
        const { created, first } = log
        const unread = { seq: Math.max(first - 1, 0), id: "", created }
        if (after === undefined) return { position: { ...unread, at: 0 }, finding: undefined }
        const finding = await compare(jsm, stream, filter, after, doubted ? { ...log, keeps: false } : log)
        if (finding === undefined) return { position: { ...after, created }, finding }
        if (finding.code === "TRP0407") return { position: { ...after, ...unread, left: 0 }, finding }
        const at = Math.max(0, after.at === undefined ? log.now - remembered : after.at - margin)
        const seq = (await sequenceAt(jsm, stream, filter, at)) - 1
        const there = await stored(jsm, stream, seq, log)
        return { position: { seq, id: "", at, ...there, created }, finding }
      },
      catch: (cause) => refused(stream, cause)
    })
  )

/** The first sequence at or after a time; one more than the last when there is none. */
export const sequenceAt = async (
  jsm: JetStreamManager,
  stream: string,
  filter: string | undefined,
  ms: number
): Promise<number> => {
  // A consumer from a time says, when it is made, which sequence that is.
  const from = { deliver_policy: DeliverPolicy.StartTime, opt_start_time: new Date(ms).toISOString() }
  const { delivered } = await asked(jsm, stream, filter, from)
  return delivered.stream_seq + 1
}

/** How many messages there are behind a sequence. */
const countAfter = async (jsm: JetStreamManager, stream: string, filter: string, seq: number): Promise<number> => {
  const from = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: seq + 1 }
  return (await asked(jsm, stream, filter, from)).num_pending
}

/** What a consumer that begins there says when it is made. */
const asked = async (
  jsm: JetStreamManager,
  stream: string,
  filter: string | undefined,
  from: Partial<ConsumerConfig>
): Promise<ConsumerInfo> => {
  const info = await jsm.consumers.add(stream, {
    ...from,
    // One without a name is made by a subject that says no filter, so that no permission could bound what it reads.
    name: nuid.next(),
    ack_policy: AckPolicy.None,
    ...(filter === undefined ? {} : { filter_subject: filter }),
    inactive_threshold: 5_000_000_000,
    mem_storage: true
  })
  await jsm.consumers.delete(stream, info.name)
  return info
}

export const held = async (jsm: JetStreamManager, stream: string): Promise<Held> => {
  // nats.js does not declare `ts`, which servers say since 2.10.
  const { config, created, state, ts } = (await jsm.streams.info(stream)) as StreamInfo & { readonly ts: string }
  return {
    created: Date.parse(created),
    first: state.first_seq,
    last: state.last_seq,
    keeps: keeps(config),
    now: Date.parse(ts)
  }
}

const keeps = (config: StreamConfig): boolean =>
  config.retention === RetentionPolicy.Limits &&
  config.discard === DiscardPolicy.New &&
  config.max_age === 0 &&
  config.max_msgs_per_subject <= 0 &&
  config.allow_msg_ttl !== true

/** What a stream holds at a sequence. */
export const stored = async (
  jsm: JetStreamManager,
  stream: string,
  seq: number,
  { created, first, last }: Log
): Promise<Position | undefined> => {
  if (seq < first || seq > last || seq < 1) return undefined
  const message = await jsm.streams.getMessage(stream, { seq })
  if (message === null) return undefined
  return { seq, id: message.header.get("ce-id").slice(0, 200), at: message.time.getTime(), created }
}
