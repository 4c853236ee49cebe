import { Sql } from "@troupe/postgres"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/**
 * Empties the slots of the outbox (12 of 10 minutes) and the inbox (16 of 12 hours) that are old enough, by TRUNCATE: a
 * delete leaves dead rows that every read must pass, and a DROP waits for the longest transaction while all inserts wait
 * for it. The outbox keeps an hour at least, and what is not relayed for as long as that takes; the inbox 7 days.
 */
export const run: Effect.Effect<never, never, Sql> = Effect.suspend(() => prune).pipe(
  Effect.catchCause((cause) => Effect.logWarning("could not prune the outbox", Cause.squash(cause))),
  Effect.repeat(Schedule.spaced("1 minute")),
  Effect.andThen(Effect.never)
)

export const prune: Effect.Effect<ReadonlyArray<string>, unknown, Sql> = Effect.flatMap(Sql, (sql) =>
  Effect.tryPromise(async () => {
    const [now] = await sql`select troupe.outbox_slot(now()) as outbox, troupe.inbox_slot(now()) as inbox`
    const pruned: Array<string> = []
    // The slots that come next in the ring hold the oldest rows: 110 to 120 minutes for the next one, and so on.
    for (const ahead of [1, 2, 3, 4, 5]) {
      const slot = (Number(now?.["outbox"]) + ahead) % 12
      const table = `troupe.outbox_${slot}`
      const [found] = await sql.unsafe(`select
        exists (select from ${table}) as any,
        exists (select from ${table} o left join troupe.watermark w using (consumer, p, stream)
                 where o.pos > coalesce(w.pos, 0) or o.at > now() - interval '1 hour') as needed`)
      if (found?.["any"] === true && found["needed"] === false) await truncate(table)
    }
    const oldest = `troupe.inbox_${(Number(now?.["inbox"]) + 1) % 16}`
    const [found] = await sql.unsafe(`select exists (select from ${oldest}) as any`)
    if (found?.["any"] === true) await truncate(oldest)
    return pruned

    async function truncate(table: string): Promise<void> {
      // Do not queue up behind a long reader: every insert would wait behind us.
      await sql.unsafe(`do $$ begin set local lock_timeout = '200ms'; truncate ${table}; end $$`)
      pruned.push(table)
    }
  })
)
