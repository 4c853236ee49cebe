import { JetStreamApiError, type StoredMsg } from "@nats-io/jetstream"
import { type MsgHdrs, MsgHdrsImpl } from "@nats-io/nats-core"
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

/** The header of the duplicate window. */
export const messageId = "Nats-Msg-Id"

/** A message as it is published. */
export interface Outgoing {
  readonly subject: string
  readonly headers: Envelope.Headers
  readonly body: string
  /** `Nats-Msg-Id`. */
  readonly id: string
}

/** What the publisher knows of the stream: the server refuses the message when it is no longer so. */
export interface Expectation {
  /** As the stream stores it, with its partition. With wildcards the server looks at each subject that matches: 1 ms for 10,000. */
  readonly filter: string
  /** The last sequence under the filter. */
  readonly lastSequence: number
}

/** What the stream answered. */
export interface Ack {
  /** Of the last message that the answer speaks of. */
  readonly sequence: number
  /** The id was published within the duplicate window; `sequence` is that message's. */
  readonly duplicate: boolean
  /** How many of the messages the stream has: the first ones. */
  readonly count: number
}

/** How long one publish, or one batch, may take, in milliseconds. */
const deadline = 5_000

/** Messages in one batch at most. */
export const batchLimit = 500

/** Publishes one message and waits for the stream to have it. */
export const single = (message: Outgoing, expected?: Expectation): Effect.Effect<Ack, PublishError, Nats> =>
  publish([message], expected, ({ publish }, reply) => publish(message, reply, expected))

/**
 * Publishes messages of one stream all or none, in order, in one round trip. A message whose id the duplicate window has
 * refuses the whole batch. nats-server >= 2.12, stream with `allow_atomic`. The server makes a store for each batch, which
 * costs as much as 40 single messages.
 */
export const batch = (
  messages: ReadonlyArray<Outgoing>,
  expected?: Expectation
): Effect.Effect<Ack, PublishError, Nats> =>
  publish(messages, expected, ({ publish }, reply, id) => {
    const last = messages.length - 1
    for (const [i, message] of messages.entries()) {
      publish(message, i === last ? reply : "", i === 0 ? expected : undefined, {
        "Nats-Batch-Id": id,
        "Nats-Batch-Sequence": String(i + 1),
        ...(i === last ? { "Nats-Batch-Commit": "1" } : {})
      })
    }
  })

/**
 * Publishes messages of one stream in order and without gaps, in one round trip: when one is refused, those before it are
 * stored and none after it, and `count` says so. A message whose id the duplicate window has is left out; when that is
 * the first one, the rest is left as well. nats-server >= 2.14, stream with `allow_batched`.
 */
export const ingest = (
  messages: ReadonlyArray<Outgoing>,
  expected?: Expectation
): Effect.Effect<Ack, PublishError, Nats> =>
  publish(messages, expected, ({ publish }, reply) => {
    const last = messages.length - 1
    for (const [i, message] of messages.entries()) {
      const operation = i === last ? 2 : i === 0 ? 0 : 1
      // How often the pace is told, what a gap means, which message, and what it is: ADR-50 of nats-architecture-and-design.
      const address = `${reply}.${batchLimit}.fail.${i + 1}.${operation}.$FI`
      publish(message, address, i === 0 ? expected : undefined)
    }
  })

interface Tools {
  readonly publish: (
    message: Outgoing,
    reply: string,
    expected: Expectation | undefined,
    more?: Envelope.Headers
  ) => void
}

const publish = (
  messages: ReadonlyArray<Outgoing>,
  expected: Expectation | undefined,
  send: (tools: Tools, reply: string, id: string) => void
): Effect.Effect<Ack, PublishError, Nats> =>
  Effect.flatMap(Nats, ({ acks, connection }) =>
    Effect.callback<Ack, PublishError>((resume) => {
      const failed = (reason: Refused | Unanswered) =>
        resume(Effect.fail(new PublishError({ subject: messages[0]?.subject ?? expected?.filter ?? "", reason })))
      const tools: Tools = {
        publish: (message, reply, expected, more) =>
          connection.publish(message.subject, message.body, { headers: toNats(message, expected, more), reply })
      }
      const { forget } = acks.ask(
        deadline,
        (reply, id) => send(tools, reply, id),
        (answer) => {
          if (answer instanceof Error) return failed(new Unanswered({ detail: describe(answer) }))
          const { count = messages.length, duplicate = false, error, seq } = answer
          if (error !== undefined)
            return failed(new Refused({ code: error.err_code, description: error.description ?? "" }))
          resume(Effect.succeed({ sequence: seq, duplicate, count }))
        }
      )
      return Effect.sync(forget)
    })
  )

const toNats = (message: Outgoing, expected: Expectation | undefined, more?: Envelope.Headers): MsgHdrs => {
  let lines = `NATS/1.0\r\n${messageId}: ${message.id}\r\n`
  for (const name in message.headers) if (name !== messageId) lines += `${name}: ${message.headers[name]}\r\n`
  for (const name in more) lines += `${name}: ${more[name]}\r\n`
  if (expected !== undefined)
    lines += `Nats-Expected-Last-Subject-Sequence: ${expected.lastSequence}\r\nNats-Expected-Last-Subject-Sequence-Subject: ${expected.filter}\r\n`
  return carried(`${lines}\r\n`)
}

/**
 * Headers that are percent-encoded already, as they are, for one `publish` that follows at once: to set them one by one takes
 * the client 4 times as long.
 */
export const ready = (headers: Envelope.Headers): MsgHdrs => {
  let lines = "NATS/1.0\r\n"
  for (const name in headers) lines += `${name}: ${headers[name]}\r\n`
  return carried(`${lines}\r\n`)
}

/** One for all messages: the client encodes the headers before its `publish` returns. */
class Carrier extends MsgHdrsImpl {
  text = ""
  override encode(): Uint8Array {
    return encoder.encode(this.text)
  }
}
const carrier = new Carrier()
const carried = (text: string): MsgHdrs => {
  carrier.text = text
  return carrier
}
const encoder = new TextEncoder()

/** A message as a stream has it. */
export interface Stored {
  readonly sequence: number
  readonly subject: string
  header(name: string): string
}

/** The last message that a stream has under a filter, or `undefined`. */
export const lastOf = (stream: string, filter: string): Effect.Effect<Stored | undefined, PublishError, Nats> =>
  get(stream, { last_by_subj: filter })

/** The message of a sequence, or `undefined`. */
export const at = (stream: string, sequence: number): Effect.Effect<Stored | undefined, PublishError, Nats> =>
  get(stream, { seq: sequence })

const get = (
  stream: string,
  query: { readonly last_by_subj: string } | { readonly seq: number }
): Effect.Effect<Stored | undefined, PublishError, Nats> =>
  Effect.flatMap(Nats, ({ api }) =>
    Effect.tryPromise({
      try: async () => {
        const { jsm } = await api(stream)
        const found: StoredMsg | null = await jsm.streams.getMessage(stream, query)
        return found === null
          ? undefined
          : { sequence: found.seq, subject: found.subject, header: (name: string) => found.header.get(name) }
      },
      catch: (cause) => new PublishError({ subject: JSON.stringify(query), reason: reason(cause) })
    })
  )

const reason = (cause: unknown): Refused | Unanswered =>
  cause instanceof JetStreamApiError
    ? new Refused({ code: cause.code, description: cause.message })
    : new Unanswered({ detail: describe(cause) })
