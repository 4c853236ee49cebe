import { type Msg, nuid } from "@nats-io/nats-core"
import { Envelope, Id, Key, type Message, Reply, Subject } from "@troupe/contract"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import {
  BadKey,
  ClientError,
  NotConnected,
  type Reason,
  Rejected,
  TimedOut,
  TooLarge,
  TooManyUnderWay
} from "../ClientError.ts"
import type { Link } from "./Link.ts"
import { natsHeaders } from "./Merger.ts"
import type { Places } from "./places.ts"
import * as PubAck from "./pubAck.ts"
import { type Signal, Signals } from "./signals.ts"

export interface Delivery {
  readonly message: Message
  readonly id: string
  /** `ce-source` */
  readonly source: string
  readonly traceparent: string
  readonly timeout: Duration.Duration
  /** Whether to wait for the answer; otherwise it is done when the stream has the message. */
  readonly answer: boolean
  readonly whenFull: "fail" | "wait"
}

/** How long an answer is waited for before the message is published again: doubled each time, ms. */
const patience = { first: 1_000, longest: 60_000 }
/** Between attempts that the server refused for the moment: doubled each time, ms. */
const pause = { first: 25, longest: 1_000 }

/**
 * Publishes until the stream has the message, or for an ask until it is answered, within the timeout. The id stays the
 * same, so that what is published twice is handled once; a repeated ask has another `Nats-Msg-Id`, so that it reaches
 * the owner, who then answers it again.
 */
export const deliver = (
  link: Link,
  places: Places,
  delivery: Delivery
): Effect.Effect<Reply.Reply | undefined, ClientError> =>
  Effect.suspend(() => {
    const end = performance.now() + Duration.toMillis(delivery.timeout)
    const fail = (reason: Reason) => Effect.fail(new ClientError({ to: delivery.message.to, reason }))
    let sending: Sending | Reason | undefined
    return Effect.acquireUseRelease(
      Effect.sync(() => places.enter()),
      (place) =>
        Effect.flatMap(place.within(end - performance.now()), (given) => {
          if (!given) return fail(new TooManyUnderWay({ limit: places.limit }))
          sending = make(link, delivery)
          return sending instanceof Sending ? attempts(link, delivery, sending, end) : fail(sending)
        }),
      (place) =>
        Effect.sync(() => {
          if (sending instanceof Sending) sending.end()
          place.leave()
        })
    )
  })

const timedOut = ({ message, timeout }: Delivery): ClientError =>
  new ClientError({ to: message.to, reason: new TimedOut({ after: Duration.format(timeout) }) })

const attempts = Effect.fnUntraced(function* (
  link: Link,
  delivery: Delivery,
  sending: Sending,
  end: number
): Effect.fn.Return<Reply.Reply | undefined, ClientError> {
  const { answer, message } = delivery
  const fail = (reason: Reason) => new ClientError({ to: message.to, reason })
  const now = () => performance.now()
  let last: Reason | undefined
  let wait = patience.first
  let rest = pause.first
  while (true) {
    const refusal = link.refusal()
    if (refusal !== undefined) return yield* fail(refusal)
    let until = now() + wait
    if (!link.connected) last = link.away
    else if (link.isHeard) {
      // A server that came back may take less than the one before.
      const bytes = link.maxPayload < sending.limit ? sending.over(link.maxPayload) : undefined
      if (bytes !== undefined) return yield* fail(new TooLarge({ bytes, limit: link.maxPayload }))
      sending.publish(end - now())
      wait = Math.min(wait * 2, patience.longest)
    } else {
      last = new NotConnected({ detail: "the server does not answer what it was sent" })
      until = now() + rest
      rest = Math.min(rest * 2, pause.longest)
    }
    while (true) {
      const signal = yield* sending.signals.next(Math.min(until, end) - now())
      if (signal === undefined) {
        if (now() < end) break
        return yield* sending.acked || last === undefined ? timedOut(delivery) : fail(last)
      }
      if (signal._tag === "Answered") return signal.reply
      if (signal._tag === "Reconnected") break
      if (signal._tag === "Acked") {
        if (!answer) return undefined
        break
      }
      const waits = delivery.whenFull === "wait" && signal.reason._tag === "StreamFull"
      if (!signal.passing && !waits) return yield* fail(signal.reason)
      last = signal.reason
      until = now() + rest
      rest = Math.min(rest * 2, pause.longest)
    }
  }
})

/** One message on its way: what each of its publishes needs, and where its signals arrive. */
class Sending {
  readonly signals = new Signals()
  /** What the server took when it was checked, bytes. */
  readonly limit: number
  published = 0
  private readonly link: Link
  private readonly service: string
  private readonly subject: string
  private readonly headers: Envelope.Headers
  private readonly body: string
  private readonly answer: boolean
  /** The stream has it: only an answer or the end of the time can tell more. */
  acked = false
  private readonly acknowledged: (msg: Msg) => Signal | undefined
  private readonly inboxes: Array<string> = []
  /** `Nats-Msg-Id` of the first publish, and of each one where nobody waits for an answer. */
  private readonly firstId: string

  constructor(link: Link, { answer, id, message, source, traceparent }: Delivery, token: string, body: string) {
    const { actor, command, contract, service } = message.target
    this.link = link
    this.limit = link.maxPayload
    this.body = body
    this.answer = answer
    this.service = service
    this.subject = Subject.published("cmd", service, actor, command, token)
    this.acknowledged = (msg) => {
      const signal = PubAck.read(msg, service)
      if (signal._tag !== "Acked") return this.acked ? undefined : signal
      this.acked = true
      // The stream had this id: its first publish is answered to whoever made it, a new one to us.
      return !answer || (signal.duplicate && this.published === 1) ? signal : undefined
    }
    const replyTo = answer ? this.hear((msg) => answered(msg, id)) : undefined
    this.headers = Envelope.toHeaders({
      id,
      type: message.to,
      source,
      key: message.key,
      contract,
      traceparent,
      replyTo
    })
    // An ask whose id was used hears so from its receiver. Nobody would tell whoever only sends: the stream must not drop it.
    this.firstId = answer ? this.msgId : Id.published(this.msgId, this.subject, body)
    link.join(this.signals, this.subject)
  }

  /** How many bytes it takes with the longest headers that a publish adds, in a batch too, if more than `limit`. */
  over(limit: number): number | undefined {
    const added = `NATS/1.0\r\nNats-Msg-Id: ${this.msgId}.${"r".repeat(22)}\r\nTroupe-Deadline-Ms: ${Number.MAX_SAFE_INTEGER}\r\n${batched}\r\n`
    let bytes = added.length
    for (const name in this.headers) bytes += name.length + (this.headers[name] ?? "").length + 4
    // UTF-8 has at most three bytes for each unit of a string: most messages are small enough not to be counted.
    if (bytes + this.body.length * 3 <= limit) return undefined
    bytes += new TextEncoder().encode(this.body).length
    return bytes > limit ? bytes : undefined
  }

  /** `left`: ms until nobody waits any more. */
  publish(left: number): void {
    const until = performance.now() + left
    const repeated = this.published++ > 0 && this.answer
    const id = repeated ? `${this.msgId}.${nuid.next()}` : this.firstId
    /** Written when it goes: what waits for a batch has less time left. */
    const headers = (): Envelope.Headers => {
      const all: Record<string, string> = { ...this.headers, "Nats-Msg-Id": id }
      if (this.answer && Number.isFinite(until))
        all["Troupe-Deadline-Ms"] = String(Math.max(1, Math.ceil(until - performance.now())))
      return all
    }
    const reply = this.hear(this.acknowledged)
    const merger = this.link.merger(this.service)
    if (merger === undefined) this.link.publish(this.subject, this.body, { headers: natsHeaders(headers()), reply })
    else merger.publish({ subject: this.subject, body: this.body, headers, reply })
  }

  end(): void {
    this.link.leave(this.signals)
    this.link.forget(this.inboxes)
  }

  private get msgId(): string {
    return this.headers["ce-id"] ?? ""
  }

  private hear(read: (msg: Msg) => Signal | undefined): string {
    const inbox = this.link.expect((msg) => {
      const signal = read(msg)
      if (signal !== undefined) this.signals.offer(signal)
    })
    this.inboxes.push(inbox)
    return inbox
  }
}

const batched = `Nats-Batch-Id: ${"b".repeat(22)}\r\nNats-Batch-Sequence: 1000\r\nNats-Batch-Commit: 1\r\n`

/** Checks all that needs no server. */
const make = (link: Link, delivery: Delivery): Sending | Reason => {
  const { id, message } = delivery
  if (id === "") return new Rejected({ code: "TRP0203", detail: "the id is empty" })
  const token = Key.encode(message.key)
  if (token === undefined) return new BadKey({ key: message.key })
  const body = message.target.payload.encode(message.payload)
  if (!body.ok) return new Rejected({ code: "TRP0201", detail: body.why })
  const sending = new Sending(link, delivery, token, body.text)
  const bytes = sending.over(link.maxPayload)
  if (bytes === undefined) return sending
  sending.end()
  return new TooLarge({ bytes, limit: link.maxPayload })
}

const answered = (msg: Msg, id: string): Signal | undefined => {
  // Each header is looked up in a list by the client's own `get`.
  const headers = new Map([...(msg.headers ?? [])].map(([name, [value]]) => [name, value]))
  const reply = Reply.fromMessage((name) => headers.get(name), msg.string())
  return reply === undefined || reply.to !== id ? undefined : { _tag: "Answered", reply }
}
