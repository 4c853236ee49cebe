import * as Slots from "./Slots.ts"

// What the event loop of a host and the thread beside it share. Both load this file, so it imports no package.

/** Memory of both threads, all zero at first. */
export type Memory = SharedArrayBuffer

/**
 * 32-bit fields: whether the lease is held (begun by the thread, ended by both), turns of the loop (written by the loop), the
 * state of the last words (both), whether the host cannot work (the loop).
 */
const int = { held: 0, turns: 1, words: 2, unable: 3 } as const
/** 64-bit fields, in ns of the loop's clock: when the last heartbeat was sent (written by the thread), the time of the last turn (by the loop). */
const long = { sent: 0, clock: 1 } as const
const longsAt = 64
const boardAt = 128
const wordsAt = boardAt + Slots.bytes

const intsOf = (memory: Memory) => new Int32Array(memory, 0, 16)
const longsOf = (memory: Memory) => new BigInt64Array(memory, longsAt, 8)

export const make = (): Memory => new SharedArrayBuffer(wordsAt + Slots.bytes)

/** The messages that run. */
export const board = (memory: Memory): Slots.Slots => Slots.of(memory, boardAt)

/** Whether a host may still speak for its partitions. */
export interface Lease {
  /** A lease that was seen to be over stays over until the host joins again. */
  held(): boolean
  end(): void
}

/** The lease as the event loop sees it: `duration` ms from when the last heartbeat was *sent*, since it may have been written then. */
export const lease = (memory: Memory, duration: number, now: () => bigint = process.hrtime.bigint): Lease => {
  const ints = intsOf(memory)
  const longs = longsOf(memory)
  const whole = BigInt(duration) * 1_000_000n
  const end = (): void => void Atomics.store(ints, int.held, 0)
  return {
    held: () => {
      if (Atomics.load(ints, int.held) === 0) return false
      if (now() - Atomics.load(longs, long.sent) < whole) return true
      end()
      return false
    },
    end
  }
}

/** The lease as the thread renews it. */
export interface Renewal extends Lease {
  /** When the host joins. `sent`: by the `clock` of the loop. */
  begin(sent: bigint): void
  /** False: it was over. One that is over stays over: what depends on it was dropped. */
  renew(sent: bigint): boolean
}

export const renewal = (memory: Memory, duration: number, now: () => bigint): Renewal => {
  const ints = intsOf(memory)
  const longs = longsOf(memory)
  const loop = lease(memory, duration, now)
  return {
    ...loop,
    begin: (sent) => {
      Atomics.store(longs, long.sent, sent)
      Atomics.store(ints, int.held, 1)
    },
    renew: (sent) => {
      if (!loop.held()) return false
      Atomics.store(longs, long.sent, sent)
      return true
    }
  }
}

/** Whether the host can work: the loop says so, and the thread tells the others with each heartbeat. */
export const able = (memory: Memory): { readonly is: () => boolean; readonly say: (able: boolean) => void } => {
  const ints = intsOf(memory)
  return {
    is: () => Atomics.load(ints, int.unable) === 0,
    say: (able) => void Atomics.store(ints, int.unable, able ? 0 : 1)
  }
}

/** Says that the event loop turns. */
export const turn = (memory: Memory): (() => void) => {
  const ints = intsOf(memory)
  const longs = longsOf(memory)
  return () => {
    Atomics.store(longs, long.clock, process.hrtime.bigint())
    Atomics.add(ints, int.turns, 1)
  }
}

/** What the thread knows of the loop's turns. */
export interface Turns {
  /** How many there were. */
  count(): number
  /**
   * The clock of the event loop, at the latest; ns. On Deno and Bun each thread has a monotonic clock with an origin of its
   * own. What the loop wrote was its time then or earlier, so the largest difference seen is closest to theirs, and a lease
   * that is counted by it ends early rather than late.
   */
  clock(): bigint
}

export const turns = (memory: Memory, now: () => bigint = process.hrtime.bigint): Turns => {
  const ints = intsOf(memory)
  const longs = longsOf(memory)
  let ahead: bigint | undefined
  return {
    count: () => Atomics.load(ints, int.turns),
    clock: () => {
      const here = now()
      const seen = Atomics.load(longs, long.clock) - here
      if (ahead === undefined || seen > ahead) ahead = seen
      return here + ahead
    }
  }
}

const state = { none: 0, asked: 1, done: 2, failed: 3 } as const

/**
 * Has the thread note messages, and blocks the event loop until it has or cannot, for `patience` ms at most: what calls this
 * may not live until the loop turns again. True: they are noted. More than 256 are not noted.
 */
export const say = (memory: Memory, messages: ReadonlyArray<Slots.Message>, patience: number): boolean => {
  const ints = intsOf(memory)
  const slots = Slots.of(memory, wordsAt)
  const places = messages.map(slots.begin)
  Atomics.store(ints, int.words, state.asked)
  Atomics.wait(ints, int.words, state.asked, patience)
  const said = Atomics.exchange(ints, int.words, state.none) === state.done
  for (const place of places) slots.end(place)
  return said
}

/** What is to be noted, if the loop waits for that; `answer` lets it go on. */
export const asked = (
  memory: Memory
): { readonly messages: ReadonlyArray<Slots.Message>; readonly answer: (noted: boolean) => void } | undefined => {
  const ints = intsOf(memory)
  if (Atomics.load(ints, int.words) !== state.asked) return undefined
  return {
    messages: Slots.of(memory, wordsAt).shown(),
    answer: (noted) => {
      // Not when it waits no longer.
      Atomics.compareExchange(ints, int.words, state.asked, noted ? state.done : state.failed)
      Atomics.notify(ints, int.words)
    }
  }
}
