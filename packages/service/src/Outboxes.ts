import { Sql } from "@troupe/postgres"
import * as Effect from "effect/Effect"

/** A partition's outbox has rows that a stream does not have yet, as far as the watermark says. */
export interface Waiting {
  readonly consumer: number
  readonly p: number
  readonly stream: string
  /** The watermark; 0 when there is none. */
  readonly watermark: number
  /** The newest row's position. */
  readonly newest: number
}

export const standby = "it is a standby, and takes no writes until it is promoted"

/**
 * All outboxes with rows above their watermark. Reads two index entries per partition and stream, whatever the outbox
 * holds; PostgreSQL ends it after 2 s. Fails on a standby, which answers and takes no writes.
 */
export const waiting: Effect.Effect<ReadonlyArray<Waiting>, unknown, Sql> = Effect.flatMap(Sql, (sql) =>
  Effect.tryPromise(async () => {
    // Statements of one message are one transaction, so the timeout goes with it. Each limit is there for the planner: an
    // "exists" instead reads the whole outbox.
    const results: unknown = await sql.unsafe(`
      set local statement_timeout = '2s';
      select pg_is_in_recovery() as standby;
      with recursive lane as (
        (select consumer, p, stream from troupe.outbox order by consumer, p, stream limit 1)
        union all
        select next.* from lane cross join lateral (
          select consumer, p, stream from troupe.outbox o
           where (o.consumer, o.p, o.stream) > (lane.consumer, lane.p, lane.stream)
           order by consumer, p, stream limit 1) next
      )
      select consumer, p, stream, coalesce(w.pos, 0) as watermark, newest.pos as newest
        from lane left join troupe.watermark w using (consumer, p, stream)
       cross join lateral (
          select o.pos from troupe.outbox o
           where o.consumer = lane.consumer and o.p = lane.p and o.stream = lane.stream
           order by o.pos desc limit 1) newest
       where newest.pos > coalesce(w.pos, 0)`)
    const [, [state], rows] = results as [
      unknown,
      ReadonlyArray<{ readonly standby: boolean }>,
      ReadonlyArray<Record<keyof Waiting, unknown>>
    ]
    if (state?.standby === true) throw new Error(standby)
    return rows.map((row) => ({
      consumer: Number(row.consumer),
      p: Number(row.p),
      stream: String(row.stream),
      watermark: Number(row.watermark),
      newest: Number(row.newest)
    }))
  })
)
