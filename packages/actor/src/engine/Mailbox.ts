import type { Message } from "@troupe/nats"
import type { Commit } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

/** A message and where it comes from. */
export interface Incoming {
  readonly stream: string
  /** Of one that waited in Postgres and was never in a stream the sequence is 0. */
  readonly message: Message.Message
  /** Where the cursor is once it is handled. None: it was not read from the stream. */
  readonly position?: Commit.Cursor
  /** It waited in Postgres; none: it was read from the stream. */
  readonly waited?: Parked | Timer
}
export interface Parked {
  readonly kind: "parked"
  /** The row of `troupe.parked`. */
  readonly key: string
  readonly n: number
  readonly attempts: number
}
export interface Timer {
  readonly kind: "timer"
  /** The row of `troupe.timer`. */
  readonly key: string
  readonly name: string
}

/** The cursor goes elsewhere without a message. */
export interface Move {
  readonly stream: string
  readonly position: Commit.Cursor
  /** What is missing up to there, for a person. */
  readonly gap?: Commit.DeadRow | undefined
  /** The stream lost messages that it had acknowledged: some of what was read is read again. */
  readonly lost?: boolean
  /** Of an event that was handled there: the actor (`orders.Order`), and its position in that actor's lane. */
  readonly lane?: { readonly actor: string; readonly position: number }
}

/** In the order of reading. */
export type Item = Incoming | Move

export const isMessage = (item: Item): item is Incoming => "message" in item

/** What was read and is not handled yet, of all streams of one partition. Bounded by count and bytes. */
export interface Mailbox {
  /** Takes a message; when that fills the box, a promise of room for the next one. */
  offer(item: Item): Promise<void> | undefined
  /** Ends a wait for the first message: something else is to be looked at. */
  ring(): void
  /** All that is at hand, at most one batch; waits only for the first, or for the ring. */
  readonly take: Effect.Effect<ReadonlyArray<Item>>
}

const limits = { messages: 1_000, bytes: 4 * 1024 ** 2 }

/** About what an item takes, in bytes. */
const sizeOf = (item: Item): number => (isMessage(item) ? item.message.data.length : 0) + 500

/** Whether items would fill a box of their own. */
export const isFull = (items: ReadonlyArray<Item>): boolean =>
  items.length >= limits.messages || items.reduce((sum, item) => sum + sizeOf(item), 0) >= limits.bytes

export const make = (): Mailbox => {
  let box: Array<Item> = []
  let bytes = 0
  let waiting: Array<() => void> = []
  const some = Latch.makeUnsafe(false)
  return {
    offer: (item) => {
      box.push(item)
      bytes += sizeOf(item)
      some.openUnsafe()
      if (box.length < limits.messages && bytes < limits.bytes) return undefined
      return new Promise((resolve) => waiting.push(resolve))
    },
    ring: () => void some.openUnsafe(),
    take: Effect.map(some.await, () => {
      const taken = box
      const room = waiting
      box = []
      bytes = 0
      waiting = []
      some.closeUnsafe()
      for (const resume of room) resume()
      return taken
    })
  }
}
