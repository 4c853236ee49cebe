import { InvalidArgumentError, type Msg, type MsgHdrs, nuid } from "@nats-io/nats-core"
import { MsgHdrsImpl } from "@nats-io/nats-core/internal"
import type { Envelope } from "@troupe/contract"
import type { Link } from "./Link.ts"

/** A message, and the inbox where its acknowledgement is waited for. */
export interface Outgoing {
  readonly subject: string
  readonly body: string
  /** As they are when it goes. */
  readonly headers: () => Envelope.Headers
  readonly reply: string
}

/** What the server takes in one batch, and how much of our memory one may fill. */
const most = { messages: 1_000, bytes: 4 * 1024 ** 2 }
/** A batch that is not acknowledged after so long, ms, is sent again, message by message. */
const deadline = 2_000
const disabled = 10174

/**
 * Publishes to one stream what is there while the batch before it is under way: as one batch, all or none (nats-server >=
 * 2.12, `allow_atomic`; ADR-50 of nats-architecture-and-design), or a single message as it is. A batch that is refused, since
 * one of its ids was seen before or the stream is full, is sent message by message: each is then acknowledged or refused for itself.
 */
export class Merger {
  private readonly link: Link
  private queue: Array<Outgoing> = []
  /** Given up when the batch under way is acknowledged, refused or lost. */
  private underWay: UnderWay | undefined
  private scheduled = false
  private refused = false

  constructor(link: Link) {
    this.link = link
    // Whoever waits for an acknowledgement sends again by itself.
    link.onReconnect(() => this.over())
    link.onViolation((subject) => this.underWay?.refuse(subject))
  }

  publish(message: Outgoing): void {
    this.queue.push(message)
    if (this.scheduled || this.underWay !== undefined) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      this.flush()
    })
  }

  private flush(): void {
    // Nobody waits any more for what was given up meanwhile.
    const waiting = this.queue.filter(({ reply }) => this.link.expects(reply))
    this.queue = []
    let bytes = 0
    const count = waiting.findIndex(({ body }) => (bytes += body.length * 3 + 1_000) > most.bytes)
    const batch = waiting.slice(0, Math.min(count === -1 ? waiting.length : Math.max(count, 1), most.messages))
    this.queue = waiting.slice(batch.length)
    if (batch.length === 0) return
    if (this.refused || !takesBatches(this.link.nc.info?.version)) {
      this.queue = []
      for (const one of waiting) this.single(one)
    } else this.send(batch)
  }

  private send(batch: ReadonlyArray<Outgoing>): void {
    const id = nuid.next()
    const alone = batch.length === 1
    const singly = (but?: string): void => {
      for (const one of batch) if (one.subject !== but) this.single(one)
      this.over()
    }
    const inbox = this.link.expect((msg) => {
      const ack = read(msg)
      if (ack.error?.err_code === disabled) this.refused = true
      if (!alone && (ack.error !== undefined || ack.batch !== id)) return singly()
      for (const { reply } of batch) this.link.hear(reply, msg)
      this.over()
    })
    this.underWay = {
      inbox,
      timer: setTimeout(singly, deadline),
      // The server drops the message alone, and never answers a batch whose last one it dropped.
      refuse: (subject) => {
        if (batch.some((one) => one.subject === subject)) singly(subject)
      }
    }
    for (const [i, { body, headers, subject }] of batch.entries()) {
      const last = i === batch.length - 1
      const more = alone
        ? headers()
        : {
            ...headers(),
            "Nats-Batch-Id": id,
            "Nats-Batch-Sequence": String(i + 1),
            ...(last ? { "Nats-Batch-Commit": "1" } : {})
          }
      this.put(subject, body, more, last ? inbox : undefined)
    }
  }

  private single({ body, headers, reply, subject }: Outgoing): void {
    if (this.link.expects(reply)) this.put(subject, body, headers(), reply)
  }

  /** What the server takes no more, since it came back with a smaller limit, its sender hears when it sends it again. */
  private put(subject: string, body: string, headers: Envelope.Headers, reply: string | undefined): void {
    try {
      this.link.publish(subject, body, { headers: natsHeaders(headers), ...(reply === undefined ? {} : { reply }) })
    } catch (cause) {
      if (!(cause instanceof InvalidArgumentError)) throw cause
    }
  }

  private over(): void {
    if (this.underWay === undefined) return
    clearTimeout(this.underWay.timer)
    this.link.forget([this.underWay.inbox])
    this.underWay = undefined
    this.flush()
  }
}

interface UnderWay {
  readonly inbox: string
  readonly timer: ReturnType<typeof setTimeout>
  /** The user may not publish to this subject. */
  readonly refuse: (subject: string) => void
}

const read = (msg: Msg): { readonly batch?: string; readonly error?: { readonly err_code: number } } => {
  try {
    return JSON.parse(msg.string())
  } catch {
    return {}
  }
}

/** An older server stores the messages of a batch as it gets them, and acknowledges the last one only. */
const takesBatches = (version = "0"): boolean => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major > 2 || (major === 2 && minor >= 12)
}

/** The values are encoded: nothing of them needs to be looked at again. */
export const natsHeaders = (headers: Envelope.Headers): MsgHdrs =>
  MsgHdrsImpl.fromRecord(headers as unknown as Record<string, Array<string>>)
