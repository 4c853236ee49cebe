import { Sql } from "@troupe/postgres"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** How long rows of the outbox stay after they were relayed: longer than any duplicate window and `2 x sync_interval`. */
const kept = "1 hour"

/** Prunes once a minute, for ever. */
export const run: Effect.Effect<never, never, Sql> = Effect.suspend(() => {
  const prune = make(kept)
  return prune.pipe(
    Effect.catchCause((cause) => Effect.logWarning("could not prune the outbox", Cause.squash(cause))),
    Effect.repeat(Schedule.spaced("1 minute")),
    Effect.andThen(Effect.never)
  )
})

/**
 * Empties slots of the outbox (12 of 10 minutes) whose rows were all seen relayed for as long as `kept`, and the oldest
 * slot of the inbox (16 of 12 hours). By TRUNCATE: a delete leaves dead rows that every read must pass, and a DROP waits
 * for the longest transaction while all inserts wait for it. Each look answers the tables that it emptied.
 */
export const make = (kept: Duration.Input): Effect.Effect<ReadonlyArray<string>, unknown, Sql> => {
  /** Since when each slot is known to hold nothing that is not relayed: ms of the monotonic clock. */
  const relayed = new Map<string, number>()
  return Effect.gen(function* () {
    const sql = yield* Sql
    const now = Number((yield* Clock.monotonicTimeNanos) / 1_000_000n)
    const pruned: Array<string> = []
    const ask = (statement: string) =>
      Effect.tryPromise(async (): Promise<Record<string, unknown>> => (await sql.unsafe(statement))[0] ?? {})
    const truncate = (table: string) =>
      Effect.gen(function* () {
        // Do not queue up behind a long reader: every insert would wait behind us.
        yield* ask(`do $$ begin set local lock_timeout = '200ms'; truncate ${table}; end $$`)
        pruned.push(table)
        relayed.delete(table)
      }).pipe(Effect.catch((error) => Effect.logDebug(`could not empty ${table}`, error)))

    const slots = yield* ask("select troupe.outbox_slot(now()) as outbox, troupe.inbox_slot(now()) as inbox")
    for (let slot = 0; slot < 12; slot++) {
      const table = `troupe.outbox_${slot}`
      const found = yield* ask(`select exists (select from ${table}) as any,
        exists (select from ${table} o left join troupe.watermark w using (consumer, p, stream)
                 where o.pos > coalesce(w.pos, 0)) as waiting`)
      if (slot === slots["outbox"] || found["any"] !== true || found["waiting"] === true) relayed.delete(table)
      else {
        const since = relayed.get(table) ?? now
        relayed.set(table, since)
        if (now - since >= Duration.toMillis(kept)) yield* truncate(table)
      }
    }
    const oldest = `troupe.inbox_${(Number(slots["inbox"]) + 1) % 16}`
    if ((yield* ask(`select exists (select from ${oldest}) as any`))["any"] === true) yield* truncate(oldest)
    return pruned
  })
}
