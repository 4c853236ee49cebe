import type { Commit } from "@troupe/postgres/internal"
import type { Consumer } from "./Consumer.ts"
import * as DeadLetters from "./DeadLetters.ts"

/** What health looks at, written by the owner of a partition. */
export interface Progress<C = Pick<Consumer, "id" | "name" | "sources">> {
  readonly consumer: C
  readonly p: number
  /** This host is to own it. */
  assigned: boolean
  /** Who has it: this host, until its session has ended, or another living one. */
  held: "here" | "elsewhere" | undefined
  /** Taken and reading. */
  ready: boolean
  /** Why it is not ready. */
  trouble: string | undefined
  /** It waits for its edge, or for PostgreSQL to be mended: to start this process anew would not bring that back. */
  away: boolean
  /** How often it was lost since it last got on. */
  failures: number
  /** Sequence per stream of the last message whose effects are committed. */
  cursors: Commit.Cursors
  /** Messages per stream that were there, behind the one that was read last. */
  pending: { [stream: string]: number }
  /** The number of the newest commit that this process knows of. */
  n: number
  /** What an operator must know of, though reading goes on: the newest gap or loss. */
  notice: string | undefined
  /** Its room for dead letters. */
  readonly limits: DeadLetters.Limits
  /** What it has of them, while it is owned here. */
  room: DeadLetters.Room | undefined
}

/** `limits` are those of its consumer's share. */
export const progress = <C>(
  consumer: C,
  p: number,
  limits: DeadLetters.Limits = DeadLetters.shareOf(DeadLetters.limits, 1)
): Progress<C> => ({
  consumer,
  p,
  limits,
  room: undefined,
  assigned: false,
  held: undefined,
  ready: false,
  trouble: "starting",
  away: false,
  failures: 0,
  cursors: {},
  pending: {},
  n: 0,
  notice: undefined
})
