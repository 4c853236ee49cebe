import { Reason } from "@troupe/contract"
import { createInbox, type Msg, nuid, type Subscription } from "@nats-io/nats-core"
import { Share } from "@troupe/contract"
import { ClientError, NotAllowed, NotConnected } from "../ClientError.ts"
import type { Link } from "./Link.ts"
import * as Place from "./Place.ts"
import * as Api from "./streamApi.ts"

/** What is read, and from where on. */
export interface Options {
  readonly stream: string
  /** One subject with a literal partition, or nothing: a wildcard for the partition costs 50-100x. */
  readonly filter: (partitions: number) => string | undefined
  readonly from: Place.Place | "now" | "start" | Date | number
  /** What to do when reading cannot go on after the place: say so, or go on with what there is. */
  readonly whenLost: "fail" | "rewind"
  /** Called whenever there may be something to take, and when it has failed. */
  readonly wake: () => void
}

/** A message of the stream, and where it stands. */
export interface Read {
  readonly msg: Msg
  readonly place: Place.Place
}

/** The most messages that wait in memory. */
const ahead = 256
/** A pull lasts so long when nothing comes, and the server says so often that it is there; ns. */
const expires = 30 * Api.second
/** One that asks for what there is lasts so long, if that is deleted meanwhile; ns. */
const expiresBehind = 5 * Api.second
const heartbeat = Api.second
/** Without a word from the server for so long, ms, the consumer is made anew. */
const silence = 3_500
/** How long a server that does not answer is asked when a subscription begins, ms. */
const patience = 10_000
const pause = () => new Promise((resolve) => setTimeout(resolve, 250))
/** How often a stream that was read before is asked for again, while the server answers; every 250 ms. */
const tries = 20
/** What a rewind reads once more: servers' clocks may differ. */
const margin = 5 * 60_000

/**
 * Reads one stream in order, in pulls of a consumer of its own: a slow reader holds the server back. Whenever the consumer
 * may have lost its place (another connection, a server that restarted or is silent) it is made anew after the last message,
 * once the stream is compared with what was read: its time of creation, its bounds, and the message itself. nats-server >= 2.11.
 */
export class Reader {
  /** Why it ended: it failed, or its connection was closed. */
  ended: ClientError | "closed" | undefined
  /** The last message that arrived, or the end of what is known to be read. */
  received: Place.Place = { created: 0, seq: 0, at: 0, id: "" }
  private readonly arrived: Array<Read> = []
  private readonly link: Link
  private readonly options: Options
  private readonly api: string
  private name = ""
  private inbox = ""
  private subscription: Subscription | undefined
  /** What this reader may have asked for at once. */
  private share: Share | undefined
  /** A pull is under way, and the messages that it may still bring. */
  private pulling = false
  private wanted = 0
  /** What it may still bring, in bytes. */
  private room = 0
  /** Messages behind the last one that arrived, as the server said. */
  private pending = 0
  /** The next message needs a pull of the largest size. */
  private large = false
  /** Messages that this consumer has delivered. */
  private delivered = 0
  /** By `performance.now`: a clock that is set back must not keep a silent server. */
  private heardAt = 0
  /** The last pull brought all that was asked for: until the next one retention may delete what it could not send. */
  private behind = false
  /** This consumer is given up: what it still brings may have a hole before it. */
  private over = false
  /** The message behind a hole, for which the stream was looked at. */
  private afterHole = 0
  private wakeUp: () => void = () => {}
  private closed = false
  private readonly leave: () => void
  private unclosed: () => void = () => {}

  constructor(link: Link, options: Options) {
    this.link = link
    this.options = options
    const { stream } = options
    this.api = `${link.api(stream)}.CONSUMER`
    this.leave = link.onViolation((subject) => {
      const ofConsumer = this.name !== "" && `${subject}.`.includes(`.${stream}.${this.name}.`)
      const mine = subject === this.inbox || (subject.startsWith(`${this.api}.`) && ofConsumer)
      if (mine) this.fail(new ClientError({ to: stream, reason: new NotAllowed({ subject }) }))
    })
  }

  /** The next message, if one is there. */
  take(): Read | undefined {
    const next = this.arrived.shift()
    if (next !== undefined && this.subscription !== undefined) this.pull()
    return next
  }

  /** Opens it, and goes on reading in the background. Rejects with `ClientError` when there is nothing to read. */
  async open(): Promise<void> {
    for (const since = performance.now(); ; await pause()) {
      try {
        await this.begin(true)
        break
      } catch (cause) {
        if (!(cause instanceof Api.Passing) || cause instanceof Api.NoStream) throw cause
        if (this.closed || performance.now() - since > patience) throw cause
      }
    }
    if (this.closed) return
    this.unclosed = this.link.onClosed(() => this.fail(undefined))
    void this.goOn().catch((cause: unknown) => this.fail(cause))
  }

  /** Ends it; the server drops its consumer. */
  close(): void {
    this.closed = true
    this.leave()
    this.unclosed()
    this.end()
  }

  private async goOn(): Promise<void> {
    while (!this.closed) {
      await new Promise<void>((resolve) => {
        const watch = setInterval(() => {
          if (this.link.connected && this.pulling && performance.now() - this.heardAt > silence) this.quit()
          // nats-server 2.15 says nothing at the end of a pull whose bytes are used up exactly.
          else if (this.pulling && (this.wanted === 0 || this.room === 0)) this.pulled().pull()
        }, 1_000)
        const left = this.link.onReconnect(() => this.quit())
        this.wakeUp = () => {
          clearInterval(watch)
          left()
          resolve()
        }
        if (this.over) this.wakeUp()
        else this.pull()
      })
      this.end()
      for (let left = tries; !this.closed;) {
        try {
          await this.begin(false)
          break
        } catch (cause) {
          if (!(cause instanceof Api.Passing)) throw cause
          // One that says nothing may be behind a dead link, which is noticed and replaced.
          if (!(cause instanceof Api.Silent) && this.link.connected && left-- === 0) throw cause
          await pause()
        }
      }
    }
  }

  /** Makes the consumer; the first time from where the options say, then after what was received. */
  private async begin(first: boolean): Promise<void> {
    const { filter, from, stream, whenLost } = this.options
    const { link } = this
    // One that was made, and could not be used.
    if (this.name !== "") this.end()
    const log = await Api.look(link, stream)
    const known = first ? (isPlace(from) ? from : undefined) : this.received
    const missing = known && (Api.lost(stream, known, log) ?? (await Api.replaced(link, stream, known, log)))
    if (missing !== undefined && whenLost === "fail") throw missing
    const after = missing === undefined ? known : undefined
    const begin =
      known === undefined || missing === undefined ? beginning(known ?? from, log) : rewound(known, missing, log)
    this.name = nuid.next()
    this.inbox = createInbox(link.inboxPrefix)
    this.over = false
    this.delivered = 0
    this.wanted = 0
    this.pulling = false
    this.behind = false
    this.large = false
    const share = link.budget.enter()
    this.share = share
    const subject = filter(log.partitions)
    const filtered = subject !== undefined
    const progress = await Api.createConsumer(link, stream, this.name, subject, begin)
    this.pending = progress.pending
    this.received = after ?? (await this.standing(log, progress.seq))
    if (this.closed) return this.end()
    this.subscription = link.nc.subscribe(this.inbox, {
      callback: (error, msg) => {
        if (error !== null || this.over) return
        this.heardAt = performance.now()
        const info = ackOf(msg)
        if (info === undefined) return this.told(msg)
        // Without a filter a hole in the sequences tells.
        this.behind = --this.wanted === 0 && filtered
        this.pending = info.pending
        const size = sizeOf(msg)
        this.room -= size
        this.large = size > Share.usual / 2
        share.release(this.wanted === 0 ? share.held : size)
        // What the connection dropped is read again.
        if (info.delivered !== ++this.delivered) return this.quit()
        const place = {
          created: log.created,
          seq: info.seq,
          at: info.at,
          id: Place.idOf(msg.headers?.get("ce-id") ?? "")
        }
        const begun = after !== undefined || this.delivered > 1
        if (!filtered && begun && place.seq > this.received.seq + 1 && place.seq !== this.afterHole) {
          // Retention has passed the reader, which it is told when it looks at the stream; or somebody deleted just these.
          this.afterHole = place.seq
          return this.quit()
        }
        this.received = place
        this.arrived.push({ msg, place })
        this.pull()
        this.options.wake()
      }
    })
  }

  /** Asks for more when half of what was there is taken, one pull at a time; within what the connection's readers may. */
  private pull(): void {
    const { share } = this
    if (share === undefined || this.pulling || share.wanted > 0) return
    if (this.arrived.length > ahead / 2 || this.over || this.ended !== undefined) return
    if (this.pending === 0) return this.begun(share.idle)
    const size = share.size(this.large, this.link.maxPayload)
    share.take(size, () => this.begun(size))
  }

  private begun(bytes: number): void {
    if (this.over) return this.share?.release()
    const room = ahead - this.arrived.length
    this.pulling = true
    this.room = bytes
    // No more than there is, so that it is over soon and others get its part of the budget.
    this.wanted = this.pending === 0 ? room : Math.min(room, this.pending)
    this.heardAt = performance.now()
    if (this.behind) void this.compare(bytes).catch(() => this.quit())
    else this.ask(bytes)
  }

  /** Asks for more when the stream still has what comes next; else has the consumer made anew, which tells what is missing. */
  private async compare(bytes: number): Promise<void> {
    const { stream } = this.options
    const { subscription } = this
    const missing = Api.lost(stream, this.received, await Api.look(this.link, stream))
    if (subscription !== this.subscription) return
    this.behind = false
    if (missing === undefined) this.ask(bytes)
    else this.quit()
  }

  private ask(bytes: number): void {
    const request = {
      batch: this.wanted,
      expires: this.pending === 0 ? expires : expiresBehind,
      idle_heartbeat: heartbeat,
      max_bytes: bytes
    }
    this.link.nc.publish(`${this.api}.MSG.NEXT.${this.options.stream}.${this.name}`, JSON.stringify(request), {
      reply: this.inbox
    })
  }

  /** A status of the pull (nats-server, ADR-13). */
  private told(msg: Msg): void {
    const code = msg.headers?.code ?? 0
    const text = msg.headers?.description.toLowerCase() ?? ""
    if (code === 100) return
    const over = code === 404 || code === 408 || (code === 409 && /maxbytes|batch completed/.test(text))
    if (!over) return this.quit()
    this.behind = code === 409
    // What did not come in time was deleted.
    if (code !== 409) this.pending = 0
    if (/maxbytes/.test(text)) {
      this.pending = Math.max(this.pending, 1)
      const left = Number(msg.headers?.get("Nats-Pending-Bytes") ?? 0)
      this.large = this.share?.exceeded(left, this.link.maxPayload) || this.large
    }
    this.pulled()
    if (code === 408 && this.arrived.length === 0) void this.settle().catch(() => this.quit())
    else this.pull()
  }

  /** The pull is over. */
  private pulled(): this {
    this.wanted = 0
    this.pulling = false
    this.share?.release()
    return this
  }

  /** After a pull that brought nothing more: moves to the stream's end, if that is reached, so that retention does not pass it. */
  private async settle(): Promise<void> {
    const { stream } = this.options
    const { name, subscription } = this
    const log = await Api.look(this.link, stream)
    const missing = Api.lost(stream, this.received, log)
    // Deleted while it waited for more: nothing of its own, since it had all that there was.
    if (missing !== undefined && !isDeleted(missing)) return this.quit()
    const { delivered, pending } = await Api.consumer(this.link, stream, name)
    if (subscription !== this.subscription) return
    if (pending === 0 && delivered === this.delivered && log.last > this.received.seq) {
      const end = await this.standing(log, log.last)
      if (subscription !== this.subscription) return
      this.received = end
      this.options.wake()
    }
    this.pull()
  }

  /** A place that is known to be read. */
  private async standing(log: Api.Log, seq: number): Promise<Place.Place> {
    const id = await Api.idAt(this.link, this.options.stream, seq, log)
    return { created: log.created, seq, at: log.now, id }
  }

  /** Has the consumer made anew. */
  private quit(): void {
    this.over = true
    this.wakeUp()
  }

  private end(): void {
    this.quit()
    this.share?.end()
    this.share = undefined
    this.subscription?.unsubscribe()
    this.subscription = undefined
    if (this.name !== "" && !this.link.nc.isClosed())
      this.link.nc.publish(`${this.api}.DELETE.${this.options.stream}.${this.name}`)
    this.name = ""
  }

  private fail(cause: unknown): void {
    if (this.closed) return
    this.ended = this.link.nc.isClosed() ? "closed" : failure(this.options.stream, cause)
    this.close()
    this.options.wake()
  }
}

/** What went wrong while events were read from `to`. */
export const failure = (to: string, cause: unknown): ClientError => {
  return Reason.is(cause, ClientError)
    ? cause
    : new ClientError({ to, reason: new NotConnected({ detail: Reason.text(cause) }) })
}

const isPlace = (from: Options["from"]): from is Place.Place => typeof from === "object" && "seq" in from
const isDeleted = ({ reason }: ClientError): boolean => reason._tag === "PlaceLost" && reason.code === "TRP0407"

const beginning = (from: Options["from"], log: Api.Log): Api.Begin => {
  if (from === "start") return { deliver_policy: "all" }
  if (from instanceof Date) return { deliver_policy: "by_start_time", opt_start_time: from.toISOString() }
  const seq = from === "now" ? log.last + 1 : typeof from === "number" ? from : from.seq + 1
  return { deliver_policy: "by_start_sequence", opt_start_seq: seq }
}

/** What was deleted is gone; of a stream that lost messages, what was read in the last minutes may have come anew. */
const rewound = (place: Place.Place, missing: ClientError, log: Api.Log): Api.Begin =>
  isDeleted(missing) ? { deliver_policy: "all" } : beginning(new Date(place.at - margin), log)

/** What the server says of a message in its reply subject: `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<times>.<seq>.<nth>.<ns>.<pending>` (ADR-15). */
const ackOf = ({
  reply = ""
}: Msg):
  | { readonly seq: number; readonly delivered: number; readonly at: number; readonly pending: number }
  | undefined => {
  if (!reply.startsWith("$JS.ACK.")) return undefined
  const tokens = reply.split(".")
  const [seq, delivered, ns, pending] = tokens.slice(tokens.length > 9 ? 7 : 5)
  return {
    seq: Number(seq),
    delivered: Number(delivered),
    at: Math.floor(Number(ns) / 1_000_000),
    pending: Number(pending)
  }
}

/** As the server counts it. */
const sizeOf = (msg: Msg): number => {
  const { _rdata } = msg as unknown as { readonly _rdata: Uint8Array }
  return msg.subject.length + (msg.reply?.length ?? 0) + _rdata.length
}
