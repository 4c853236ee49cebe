import { JetStreamApiError } from "@nats-io/jetstream"
import { headers as natsHeaders, type MsgHdrs, nuid } from "@nats-io/nats-core"
import type { Envelope } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe, Nats } from "./Nats.ts"

/** The server answered, and said no. `code` is JetStream's `err_code`. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  code: Schema.Int,
  description: Schema.String
}) {}
/** No answer: whether the stream has it is unknown. */
export class Unanswered extends Schema.TaggedError<Unanswered>()("Unanswered", { detail: Schema.String }) {}

/** A message, or a batch, was not acknowledged; `reason` tells whether the stream may have it. */
export class PublishError extends Schema.TaggedError<PublishError>()("PublishError", {
  subject: Schema.String,
  reason: Schema.Union([Refused, Unanswered])
}) {
  override get message(): string {
    return this.reason._tag === "Refused" ? `${this.reason.description} (${this.reason.code})` : this.reason.detail
  }
}

/** A message as it is published. */
export interface Outgoing {
  readonly subject: string
  readonly headers: Envelope.Headers
  readonly body: string
  /** `Nats-Msg-Id`. */
  readonly id: string
}

/** The lane's last sequence, as the publisher knows it: the server refuses the message when somebody else wrote to the lane. */
export interface Expectation {
  /** The lane as the stream stores it, with its partition. */
  readonly lane: string
  readonly lastSequence: number
}

/** What the stream answered. */
export interface Ack {
  readonly sequence: number
  /** The id was published within the duplicate window; `sequence` is that message's. */
  readonly duplicate: boolean
}

/** How long one publish, or one batch, may take. */
const deadline = 5_000

/** Publishes one message and waits for the stream to have it. */
export const single = (message: Outgoing, expected?: Expectation): Effect.Effect<Ack, PublishError, Nats> =>
  Effect.flatMap(Nats, ({ js }) =>
    request(message.subject, async () => {
      const ack = await js.publish(message.subject, message.body, {
        headers: toNats(message, expected),
        timeout: deadline
      })
      return { sequence: ack.seq, duplicate: ack.duplicate }
    })
  )

/** Messages in one atomic batch at most. */
export const batchLimit = 500

/**
 * Publishes messages of one stream all or none, in order, in one round trip. A message whose id the duplicate window has
 * refuses the whole batch. nats-server >= 2.12, stream with `allow_atomic`. The acknowledged sequence is the last one's.
 */
export const batch = (
  messages: ReadonlyArray<Outgoing>,
  expected?: Expectation
): Effect.Effect<Ack, PublishError, Nats> =>
  Effect.flatMap(Nats, ({ connection }) =>
    request(messages[0]?.subject ?? "", async () => {
      const id = nuid.next()
      const last = messages.length - 1
      for (const [i, message] of messages.entries()) {
        const headers = toNats(message, i === 0 ? expected : undefined)
        headers.set("Nats-Batch-Id", id)
        headers.set("Nats-Batch-Sequence", String(i + 1))
        if (i < last) {
          connection.publish(message.subject, message.body, { headers })
        } else {
          headers.set("Nats-Batch-Commit", "1")
          return await commit(connection, message, headers)
        }
      }
      throw new Error("an empty batch")
    })
  )

const commit = async (connection: Nats["Service"]["connection"], message: Outgoing, headers: MsgHdrs): Promise<Ack> => {
  const answer = await connection.request(message.subject, message.body, { headers, timeout: deadline })
  const ack = answer.json<{ readonly seq: number; readonly error?: { err_code: number; description: string } }>()
  if (ack.error !== undefined) throw new Refused({ code: ack.error.err_code, description: ack.error.description })
  return { sequence: ack.seq, duplicate: false }
}

const request = (subject: string, run: () => Promise<Ack>): Effect.Effect<Ack, PublishError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new PublishError({ subject, reason: reason(cause) })
  })

const reason = (cause: unknown): Refused | Unanswered => {
  if (cause instanceof Refused) return cause
  if (cause instanceof JetStreamApiError) return new Refused({ code: cause.code, description: cause.message })
  return new Unanswered({ detail: describe(cause) })
}

const toNats = (message: Outgoing, expected: Expectation | undefined): MsgHdrs => {
  const headers = natsHeaders()
  for (const name in message.headers) headers.set(name, message.headers[name] ?? "")
  headers.set("Nats-Msg-Id", message.id)
  if (expected !== undefined) {
    headers.set("Nats-Expected-Last-Subject-Sequence", String(expected.lastSequence))
    headers.set("Nats-Expected-Last-Subject-Sequence-Subject", expected.lane)
  }
  return headers
}

/** The last message that a stream has under a filter, or `undefined`. */
export const lastOf = (
  stream: string,
  filter: string
): Effect.Effect<{ readonly sequence: number; header(name: string): string } | undefined, PublishError, Nats> =>
  Effect.flatMap(Nats, ({ jsm }) =>
    Effect.tryPromise({
      try: async () => {
        const last = await jsm.streams.getMessage(stream, { last_by_subj: filter })
        return last === null ? undefined : { sequence: last.seq, header: (name: string) => last.header.get(name) }
      },
      catch: (cause) => new PublishError({ subject: filter, reason: reason(cause) })
    })
  )
