import type { JetStreamManager } from "@nats-io/jetstream"
import { createInbox, type Msg, type NatsConnection, type Subscription } from "@nats-io/nats-core"
import { ReadBudget, type Share } from "@troupe/contract"
import * as Look from "./Look.ts"
import * as Message from "./Message.ts"

/** A consumer, and how it is pulled. */
export interface Options {
  readonly connection: NatsConnection
  readonly jsm: JetStreamManager
  readonly stream: string
  /** The name of a consumer without acks. */
  readonly consumer: string
  /** When the stream was created, ms since 1970. */
  readonly created: number
  /** What was read before the consumer's first message. */
  readonly after: number
  /** Messages that the server had when the consumer was created. */
  readonly pending: number
  /** Of the server as it is now, bytes. */
  readonly maxPayload: () => number
}

/** A message, and how many more the server had when it sent it. */
export interface Arrived {
  readonly message: Message.Message
  readonly pending: number
}

/** ns, as JetStream counts. */
const second = 1_000_000_000
/** A pull that waits for the next message: the server says every second that it is there. */
const whenIdle = { batch: 256, expires: 30 * second }
/** A pull asks for no more messages than there are, so it is over soon; unless some of them were deleted meanwhile. */
const whenBehind = 5 * second
/** Received and not taken yet, bytes: with more no pull is made. */
const ahead = 256 * 1024
/** Without a pull for so long, ms, retention may have deleted what comes next. */
const unwatched = 1_000
/** So many seconds without a word from the server end it. */
const patience = 3

const budgets = new WeakMap<NatsConnection, ReadBudget>()
const budgetOf = (connection: NatsConnection): ReadBudget => {
  const budget = budgets.get(connection) ?? new ReadBudget()
  budgets.set(connection, budget)
  return budget
}

/**
 * What one consumer brings, in order, asked for by pulls within the budget of the connection. It ends by itself when the
 * consumer may be gone, or may have lost its place: what it has received by then is still there to take.
 */
export class Pulls {
  private readonly options: Options
  private readonly share: Share
  private readonly inbox: string
  private readonly subscription: Subscription
  private readonly watch: NodeJS.Timeout
  private arrived: Array<Arrived> = []
  private first = 0
  private bytes = 0
  /** Of pulls that are under way: how many, and what they may still bring. */
  private pulls = 0
  private asked = 0
  /** The same in bytes. */
  private room = 0
  /** Messages behind the last one that arrived, as the server said. */
  private pending: number
  /** Messages that this consumer has delivered, and the sequence of the last one. */
  private delivered = 0
  private seq: number
  /** The next message needs a pull of the largest size. */
  private large = false
  /** Since when, ms, there is more to read and no pull under way. */
  private since: number | undefined
  /** It is looked whether the stream still has what comes next. */
  private looking = false
  /** Seconds without a word from the server while a pull is under way. */
  private silent = 0
  private ending: NodeJS.Timeout | undefined
  private ended = false
  private wake: () => void = () => {}

  constructor(options: Options) {
    this.options = options
    this.pending = options.pending
    this.seq = options.after
    this.share = budgetOf(options.connection).enter()
    const { options: made } = options.connection as unknown as { readonly options: { readonly inboxPrefix?: string } }
    this.inbox = createInbox(made.inboxPrefix)
    this.subscription = options.connection.subscribe(this.inbox, {
      callback: (error, msg) => (error === null ? this.hear(msg) : this.stop())
    })
    this.watch = setInterval(() => this.tick(), 1_000)
    this.ask()
  }

  /** The server has more than it was asked for. */
  get behind(): boolean {
    return this.pending > 0
  }

  /** The next message, if it is there. */
  take(): Arrived | undefined {
    const next = this.arrived[this.first]
    if (next === undefined) return undefined
    if (++this.first === this.arrived.length) {
      this.arrived = []
      this.first = 0
    }
    this.bytes -= next.message.data.length
    this.ask()
    return next
  }

  /** Waits for the next message. `false`: there will be none. */
  async some(signal: AbortSignal): Promise<boolean> {
    while (this.arrived.length === 0) {
      if (this.ended || signal.aborted) return false
      await new Promise<void>((resolve) => {
        this.wake = resolve
        signal.addEventListener("abort", this.wake, { once: true })
      })
      signal.removeEventListener("abort", this.wake)
    }
    return true
  }

  /** Asks for nothing any more. */
  stop(): void {
    if (this.ended) return
    this.ended = true
    clearInterval(this.watch)
    clearTimeout(this.ending)
    this.subscription.unsubscribe()
    this.share.end()
    this.wake()
  }

  private hear(msg: Msg): void {
    if (this.ended) return
    this.silent = 0
    if (msg.reply === undefined || msg.reply === "") return this.told(msg)
    const info = Message.infoOf(msg.reply)
    // What the connection dropped is read again.
    if (info === undefined || info.delivered !== ++this.delivered) return this.stop()
    const size = sizeOf(msg)
    this.asked--
    this.room -= size
    this.pending = info.pending
    this.seq = info.seq
    this.large = size > ahead
    this.share.release(size)
    this.bytes += msg.data.length
    this.arrived.push({ message: Message.of(msg, info), pending: info.pending })
    this.ask()
    this.wake()
  }

  /** What ends a pull says how much of it was left (nats-server ADR-13, ADR-37). */
  private told(msg: Msg): void {
    const code = msg.headers?.code ?? 0
    const text = msg.headers?.description.toLowerCase() ?? ""
    if (code === 100) return
    const exceeds = code === 409 && text.includes("maxbytes")
    if (!exceeds && code !== 404 && code !== 408 && !(code === 409 && text.includes("batch completed")))
      return this.stop()
    const left = Number(msg.headers?.get("Nats-Pending-Bytes") ?? 0)
    this.asked -= Number(msg.headers?.get("Nats-Pending-Messages") ?? 0)
    this.room -= left
    this.share.release(left)
    // What did not come in time was deleted.
    if (code === 408 || code === 404) this.pending = 0
    if (exceeds) {
      this.pending = Math.max(this.pending, 1)
      this.large = this.share.exceeded(left, this.options.maxPayload()) || this.large
    }
    this.over(1)
    this.ask()
  }

  private over(pulls: number): void {
    this.pulls -= pulls
    if (this.pulls > 0) return
    this.pulls = 0
    this.asked = 0
    this.room = 0
    this.share.release()
    if (this.behind) this.since ??= performance.now()
  }

  /** Asks for what there is, in two pulls one behind the other, or for the next message that comes. */
  private ask(): void {
    if (this.ended || this.looking || this.bytes > ahead) return
    // nats-server 2.15 says nothing at the end of a pull whose bytes are used up exactly.
    if (this.pulls > 0 && (this.asked === 0 || this.room === 0)) return this.expectEnd()
    if (this.pending > this.asked) {
      const size = this.share.size(this.large, this.options.maxPayload())
      if (this.share.wanted > 0 || this.pulls > 1 || this.share.held > size / 2) return
      this.share.take(size, () => this.compared(size))
    } else if (this.pulls === 0 && this.share.wanted === 0) this.pull({ ...whenIdle, max_bytes: this.share.idle })
  }

  /** Everything came that was asked for, and what ends the last pull is on its way; a server that does not say so is not waited for. */
  private expectEnd(): void {
    this.ending ??= setTimeout(() => {
      this.ending = undefined
      if (this.ended || this.pulls === 0 || (this.asked > 0 && this.room !== 0)) return
      this.over(this.pulls)
      this.ask()
    }, 100)
  }

  /** Pulls, unless the stream has lost meanwhile what comes next. */
  private compared(size: number): void {
    const since = this.since
    this.since = undefined
    const pull = (): void => {
      const batch = Math.max(1, this.pending - this.asked)
      this.pull({ batch, expires: whenBehind, max_bytes: size })
    }
    if (since === undefined || performance.now() - since < unwatched) return pull()
    this.looking = true
    void this.look(pull)
  }

  /** Goes on when the stream still has what comes next, as far as can be told; else it ends. */
  private async look(goOn: () => void): Promise<void> {
    const { created, jsm, stream } = this.options
    const found = await Look.at(jsm, stream).catch(() => undefined)
    this.looking = false
    const log = found?.log
    if (log === undefined || log.created !== created || log.first > this.seq + 1 || log.last < this.seq) this.stop()
    else if (!this.ended) goOn()
  }

  private pull(request: { readonly batch: number; readonly max_bytes: number; readonly expires: number }): void {
    const { connection, consumer, stream } = this.options
    const { prefix } = this.options.jsm as unknown as { readonly prefix: string }
    this.pulls++
    this.asked += request.batch
    this.room += request.max_bytes
    connection.publish(
      `${prefix}.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
      JSON.stringify({ ...request, idle_heartbeat: second }),
      { reply: this.inbox }
    )
  }

  /** Once a second. Counted, and not measured: after the event loop stood still, what came meanwhile is heard first. */
  private tick(): void {
    if (this.pulls > 0 && ++this.silent >= patience) this.stop()
  }
}

/** As the server counts it. */
const sizeOf = (msg: Msg): number => {
  const { _rdata } = msg as unknown as { readonly _rdata: Uint8Array }
  return msg.subject.length + (msg.reply?.length ?? 0) + _rdata.length
}
