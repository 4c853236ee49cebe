import { Reason } from "@troupe/contract"
import { Sql } from "@troupe/postgres"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** How long rows of the outbox stay after they were relayed: longer than any duplicate window and `2 x sync_interval`. */
const kept = "1 hour"
/** Wishes that are deleted at one look, at most. */
const wishes = 1_000

/** Prunes once a minute, for ever. */
export const run: Effect.Effect<never, never, Sql> = Effect.suspend(() => {
  const prune = make(kept)
  return prune.pipe(
    Effect.catchCause((cause) => Effect.logWarning("could not prune the outbox", Reason.chain(cause))),
    Effect.repeat(Schedule.spaced("1 minute")),
    Effect.andThen(Effect.never)
  )
})

/**
 * Empties slots of the outbox (12 of 10 minutes) whose rows were all seen relayed for as long as `kept`, and the oldest
 * slot of the inbox (16 of 12 hours); and deletes wishes that were done a week ago. Slots by TRUNCATE: a delete leaves dead rows that every read must pass, and a DROP waits
 * for the longest transaction while all inserts wait for it. Each look answers the tables that it emptied. Any number of
 * hosts may do so at once: what is true is looked at again once the table is locked.
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
    const truncate = (table: string, may: string) =>
      Effect.gen(function* () {
        // Do not queue up behind a long reader: every insert would wait behind us.
        yield* ask(`do $$ begin
          set local lock_timeout = '200ms';
          lock table ${table} in access exclusive mode;
          if not (${may}) then raise exception 'it is in use again'; end if;
          truncate ${table};
        end $$`)
        pruned.push(table)
        relayed.delete(table)
      }).pipe(Effect.catch((error) => Effect.logDebug(`could not empty ${table}`, Reason.chain(error))))

    for (let slot = 0; slot < 12; slot++) {
      const table = `troupe.outbox_${slot}`
      const done = `troupe.outbox_slot(clock_timestamp()) <> ${slot} and not exists (${waiting(table)})`
      const { any, idle } = yield* ask(`select exists (select from ${table}) as any, (${done}) as idle`)
      if (any !== true || idle !== true) relayed.delete(table)
      else {
        const since = relayed.get(table) ?? now
        relayed.set(table, since)
        if (now - since >= Duration.toMillis(kept)) yield* truncate(table, done)
      }
    }
    const { inbox } = yield* ask("select troupe.inbox_slot(now()) as inbox")
    const oldest = `troupe.inbox_${(Number(inbox) + 1) % 16}`
    const { any } = yield* ask(`select exists (select from ${oldest}) as any`)
    if (any === true) yield* truncate(oldest, `troupe.inbox_slot(clock_timestamp()) = ${inbox}`)
    // Who wished, and what became of it, is kept for a week.
    yield* ask(`delete from troupe.wish where id in (
      select id from troupe.wish where done < clock_timestamp() - interval '7 days' order by id limit ${wishes})`)
    return pruned
  })
}

/**
 * The destinations with a row in a slot above their watermark. Reads two index entries for each, not the rows: each limit
 * is there for the planner.
 */
const waiting = (table: string): string => `
  with recursive lane as (
    (select consumer, p, stream from ${table} order by consumer, p, stream limit 1)
    union all
    select next.* from lane cross join lateral (
      select consumer, p, stream from ${table} o
       where (o.consumer, o.p, o.stream) > (lane.consumer, lane.p, lane.stream)
       order by consumer, p, stream limit 1) next
  )
  select from lane left join troupe.watermark w using (consumer, p, stream)
   cross join lateral (
     select o.pos from ${table} o where o.consumer = lane.consumer and o.p = lane.p and o.stream = lane.stream
      order by o.pos desc limit 1) newest
   where newest.pos > coalesce(w.pos, 0)`
