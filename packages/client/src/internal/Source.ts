import { type EventWire, Key, Subject } from "@troupe/contract"
import { ClientError, NotConnected } from "../ClientError.ts"
import { Keeper } from "./Keeper.ts"
import type { Link } from "./Link.ts"
import type * as Place from "./Place.ts"
import { type Options as ReaderOptions, type Read, Reader } from "./Reader.ts"
import { Passing, Unserved, unserved as noStream } from "./streamApi.ts"

/** How often a place is claimed, while others save theirs. */
const claims = 5
/** How long a server that starts is asked for the place, ms. */
const patience = { silent: 10_000, unserved: 3_000 }

/** From where on a service is read, and how. */
export interface Options extends Pick<ReaderOptions, "from" | "whenLost" | "wake"> {
  /** Only events of this key, encoded. */
  readonly token: string | undefined
  readonly durable: { readonly caller: string; readonly name: string } | undefined
}

/** The events of one service, and how far they are handled. */
export class Source {
  readonly service: string
  readonly stream: string
  readonly wires: ReadonlyMap<string, EventWire.EventWire>
  /** Of the event that was given last; all before it is handled. */
  at: Place.Place = { created: 0, seq: 0, at: 0, id: "" }
  private readonly keeper: Keeper | undefined
  private readonly link: Link
  private readonly options: Options
  private reader: Reader | undefined
  /** The one at `at` is not handled yet. */
  private waits = false
  private closed = false

  constructor(link: Link, service: string, wires: ReadonlyMap<string, EventWire.EventWire>, options: Options) {
    this.link = link
    this.service = service
    this.stream = Subject.stream("evt", service)
    this.wires = wires
    this.options = options
    const { durable, wake } = options
    this.keeper = durable && new Keeper(link, service, durable.caller, durable.name, wake)
  }

  /** Rejects with `ClientError`, or `Passing` when the server does not answer. Closed meanwhile, it leaves nothing behind. */
  async open(): Promise<void> {
    const { from, token, wake, whenLost } = this.options
    const { keeper } = this
    const filter = (partitions: number) =>
      token === undefined ? undefined : ofKey(this.service, [...this.wires.keys()], token, partitions)
    const kept = keeper && (await this.patiently(() => keeper.load()))
    if (this.closed) return
    this.reader = new Reader(this.link, { stream: this.stream, filter, from: kept ?? from, whenLost, wake })
    await this.reader.open()
    this.at = this.reader.received
  }

  /** Takes its place over from whoever had it, before anything is taken. Rejects as `open`. */
  async claim(): Promise<void> {
    const { keeper } = this
    if (keeper === undefined) return
    for (let left = claims; !this.closed && !(await this.patiently(() => keeper.claim(this.at))); left--) {
      // Somebody else has saved meanwhile: it goes on there, and nowhere else.
      this.reader?.close()
      if (left === 0) throw keeper.taken()
      await this.open()
    }
  }

  /** A server that starts is asked again. */
  private async patiently<A>(ask: () => Promise<A>): Promise<A> {
    for (const since = performance.now(); ; await new Promise((resolve) => setTimeout(resolve, 250))) {
      try {
        return await ask()
      } catch (cause) {
        if (!(cause instanceof Passing)) throw cause
        const unserved = cause instanceof Unserved
        if (!this.closed && performance.now() - since < (unserved ? patience.unserved : patience.silent)) continue
        throw unserved ? noStream(this.service, "place", this.service) : cause
      }
    }
  }

  /** The next message, if there is one; why there will be none any more, if so. */
  take(): Read | ClientError | "closed" | undefined {
    const failed = this.keeper?.failed
    if (failed !== undefined) return this.link.nc.isClosed() ? "closed" : failed
    if (this.keeper?.isBehind) return undefined
    const read = this.reader?.take()
    if (read !== undefined) {
      this.at = read.place
      this.waits = true
      return read
    }
    const received = this.reader?.received
    // Nothing came, but others' events did: the place moves along, lest they are deleted behind it.
    if (!this.waits && received !== undefined && isAfter(received, this.at)) {
      this.at = received
      this.keeper?.handled(received, 0)
    }
    return this.reader?.ended
  }

  /** So is what was taken. */
  handled(): void {
    this.waits = false
    this.keeper?.handled(this.at, 1)
  }

  async close(): Promise<void> {
    this.closed = true
    this.reader?.close()
    await this.keeper?.close()
  }
}

const isAfter = (a: Place.Place, b: Place.Place): boolean => a.created !== b.created || a.seq > b.seq

/** The subject of a key's events, as narrow as one string can be. */
const ofKey = (service: string, types: ReadonlyArray<string>, token: string, partitions: number): string => {
  if (partitions === 0) {
    const detail = `${Subject.stream("evt", service)} spreads its keys over no partitions: only a service makes it`
    throw new ClientError({ to: service, reason: new NotConnected({ detail }) })
  }
  const only = (at: number): string => {
    const tokens = new Set(types.map((type) => type.split(".")[at]))
    return tokens.size === 1 ? [...tokens].join("") : "*"
  }
  return `evt.${service}.${Key.partition(token, partitions)}.${only(1)}.${only(2)}.${token}`
}
