import type { Commit } from "@troupe/postgres/internal"
import type { Incoming } from "./Mailbox.ts"
import * as Stored from "./Stored.ts"

/** How often a message that fails is tried, when, and how much may wait behind it. */
export interface Policy {
  /** Tries before it is given up; the first one counts, and its repetitions in place do not. */
  readonly attempts: number
  /** ms from the first failed try to the second, */
  readonly first: number
  /** so much longer each time, */
  readonly factor: number
  /** and at most this, in ms. */
  readonly longest: number
  /** Of one key, with the one that fails. */
  readonly messages: number
  readonly bytes: number
}
export const policy: Policy = {
  attempts: 10,
  first: 1_000,
  factor: 2,
  longest: 60_000,
  messages: 1_000,
  bytes: 10 * 1024 ** 2
}

/** What is known in memory of a parked key: not its messages. */
export interface Key {
  /** The place of its first message; none: not known, those handled before it are gone. */
  readonly head: number | undefined
  /** The place of the next one that is parked. */
  readonly next: number
  readonly count: number
  readonly bytes: number
}

/** A parked key after a batch; none: nothing of it waits any more. */
export interface Change {
  readonly key: Key | undefined
  /** ms until its first message is tried; null: it waits for an operator; none: as before. */
  readonly delay: number | null | undefined
}

/** Of a parked key: what the messages that wait are, by their ids; see `Stored.copied`. */
export type Asks = Map<string, ReadonlySet<string>>

/** Why a message fails. */
export interface Failure {
  readonly code: string
  readonly reason: string
}

/** What a batch does to what waits, as it is committed. */
export class Moves {
  readonly parked: Array<Commit.ParkedRow> = []
  readonly unparked: Array<Pick<Commit.ParkedRow, "key" | "n">> = []
  readonly retried: Array<Pick<Commit.ParkedRow, "key" | "n" | "attempts" | "delay" | "code" | "reason">> = []
  readonly fired: Array<Pick<Commit.TimerRow, "key" | "name">> = []
  readonly changes = new Map<string, Change>()
  /** Characters that it adds to the commit. */
  bytes = 0
}

/**
 * The messages of one key in one batch, in order: which one may run, which waits behind another, and what becomes of it.
 * One that waited comes before one that was read, as the batch has them.
 */
export class Line {
  private readonly token: string
  private readonly options: Policy & { readonly blocks: boolean }
  private readonly moves: Moves
  private key: Key | undefined
  private readonly asks: Asks

  /** `asks`: what is parked of the ids that the batch has, at least. */
  constructor(
    token: string,
    before: Key | undefined,
    options: Policy & { readonly blocks: boolean },
    moves: Moves,
    asks: Asks = new Map()
  ) {
    this.token = token
    this.key = before
    this.options = options
    this.moves = moves
    this.asks = asks
  }

  /** Nothing of the key waits in front of it. */
  runs({ waited }: Incoming): boolean {
    if (this.key === undefined) return true
    return waited?.kind === "parked" && (this.key.head === undefined || this.key.head === waited.n)
  }

  /**
   * It gets behind the others, or stays where it waits. False: there is no room. Callers ask again and again while their
   * message waits: its copies would fill the line, and one that found no room would settle the id of that message. So a
   * copy for a caller that is answered anyway is dropped, and so is one without room, which its caller publishes again.
   * `other`: there is no room, and its id is that of another message that waits.
   */
  waits(incoming: Incoming): boolean | "other" {
    if (incoming.waited !== undefined) return true
    const id = Stored.idOf(incoming.message.headers)
    // What has no id is not the same as anything.
    const copies = id === "" ? undefined : this.asks.get(id)
    const copy = copies === undefined ? "" : Stored.copyOf(incoming.message)
    if (copies?.has(copy)) return true
    const { bytes, count } = this.key!
    if (count >= this.options.messages || bytes + Stored.sizeOf(incoming) > this.options.bytes)
      return copies === undefined ? false : [...copies].some((known) => saying(known) === saying(copy)) || "other"
    this.park(incoming, 0, null, { code: "", reason: "it waits behind another message of its key" })
    return true
  }

  /** It is handled, or needs no handling. */
  passes({ message, waited }: Incoming): void {
    if (waited?.kind === "timer") this.moves.fired.push({ key: waited.key, name: waited.name })
    if (waited?.kind !== "parked") return
    this.moves.unparked.push({ key: waited.key, n: waited.n })
    this.asks.delete(Stored.idOf(message.headers))
    const { bytes, count, next } = this.key!
    this.change(
      count > 1 ? { head: undefined, next, count: count - 1, bytes: bytes - Stored.sizeOf({ message }) } : undefined,
      0
    )
  }

  /** It failed. True: it is parked; false: it was tried `limit` times, and is given up. */
  fails(incoming: Incoming, failure: Failure, limit: number): boolean {
    const { waited } = incoming
    const attempts = (waited?.kind === "parked" ? waited.attempts : 0) + 1
    const dead = attempts >= limit
    if (dead && !this.options.blocks) {
      this.passes(incoming)
      return false
    }
    const { factor, first, longest } = this.options
    const delay = dead ? null : Math.min(longest, first * factor ** (attempts - 1))
    if (waited?.kind === "parked") {
      this.moves.retried.push({ key: this.token, n: waited.n, attempts, delay, ...failure })
      this.change({ ...this.key!, head: waited.n }, delay)
    } else {
      this.passes(incoming)
      const n = this.park(incoming, attempts, delay, failure)
      this.change({ ...this.key!, head: n }, delay)
    }
    return !dead
  }

  private park(incoming: Incoming, attempts: number, delay: number | null, failure: Failure): number {
    const { bytes, count, head, next } = this.key ?? { head: undefined, next: 1, count: 0, bytes: 0 }
    const size = Stored.sizeOf(incoming)
    const id = Stored.idOf(incoming.message.headers)
    this.asks.set(id, new Set(this.asks.get(id)).add(Stored.copyOf(incoming.message)))
    this.moves.parked.push({ ...Stored.rowOf(incoming, this.token), n: next, attempts, delay, ...failure })
    this.moves.bytes += size * 2
    this.change({ head, next: next + 1, count: count + 1, bytes: bytes + size }, undefined)
    return next
  }

  private change(key: Key | undefined, delay: Change["delay"]): void {
    this.key = key
    this.moves.changes.set(this.token, {
      key,
      delay: delay === undefined ? this.moves.changes.get(this.token)?.delay : delay
    })
  }
}

/** Of a copy what it says, whoever hears the reply. */
const saying = (copy: string): string => copy.slice(copy.lastIndexOf(" "))
