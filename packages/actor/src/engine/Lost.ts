import { Codes, Reason } from "@troupe/contract"
import { Sql } from "@troupe/postgres"
import { type Commit, Ownership } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import { Exclusive } from "./Alone.ts"
import type { Running } from "./Board.ts"
import { CommitLost } from "./Committer.ts"

/** A message whose handler had the transaction when its connection was lost. */
interface Loss {
  readonly running: Running
  /** In a row, without a note in PostgreSQL. */
  readonly times: number
  /** Of this process nothing else ran. */
  readonly alone: boolean
}

// One for the process: its hosts have the same servers, and it must outlive the session of a partition.
const losses = new Map<string, Loss>()

/** Losses that are kept in memory. */
const most = 1_000

const keyOf = ({ consumer, p }: Pick<Running, "consumer" | "p">, id: string): string => `${consumer} ${p} ${id}`

/**
 * The connection was lost in the turn of a message: remembers that at once, since the partition may be given up next, and
 * fails with what says so.
 */
export const during = (running: Running, { cause }: CommitLost): Effect.Effect<never, CommitLost> =>
  Effect.gen(function* () {
    const alone = yield* Exclusive
    const key = keyOf(running, running.id)
    const times = (losses.get(key)?.times ?? 0) + 1
    losses.delete(key)
    losses.set(key, { running, times, alone })
    if (losses.size > most) losses.delete(losses.keys().next().value!)
    yield* Effect.logWarning(Codes.text("TRP0330", `${running.what}, id ${running.id}`, Reason.chain(cause)))
    const { id, what } = running
    return yield* new CommitLost({ cause, during: { id, what } })
  })

/** While the host goes on, the connection was the only one: its message is suspected from now on. */
export const note = (fence: Commit.Fence, { id }: NonNullable<CommitLost["during"]>): Effect.Effect<void, never, Sql> =>
  Effect.suspend(() => {
    const loss = losses.get(keyOf(fence, id))
    return loss === undefined ? Effect.void : Effect.ignore(noted(fence, loss))
  })

/**
 * What is suspected of a partition that was just taken, with what could not be noted. Where PostgreSQL was away after a loss,
 * the message may only have been there when it went: it is suspected when that happens again, or when it was alone.
 */
export const suspected = ({
  fence,
  suspects
}: Pick<Ownership.Taken, "fence" | "suspects">): Effect.Effect<ReadonlyMap<string, number>, CommitLost, Sql> =>
  Effect.gen(function* () {
    const all = new Map(suspects)
    for (const loss of losses.values()) {
      const { consumer, id, p } = loss.running
      if (consumer !== fence.consumer || p !== fence.p || (loss.times === 1 && !loss.alone)) continue
      all.set(id, yield* noted(fence, loss))
    }
    return all
  })

/** Answers how often the message, alone, ended a host or a connection. */
const noted = (fence: Commit.Fence, { alone, running }: Loss): Effect.Effect<number, CommitLost, Sql> =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const strikes = yield* Effect.tryPromise({
      try: () => Ownership.lost(sql, fence, running, alone),
      catch: (cause) => new CommitLost({ cause })
    })
    losses.delete(keyOf(fence, running.id))
    return strikes
  })
