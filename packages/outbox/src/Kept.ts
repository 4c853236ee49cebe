import { Sql } from "@troupe/postgres"
import type { Commit } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import type { Origin } from "./Destination.ts"

/** What the tables know of an outbox: its rows, and how far they are published. */

/** Read at once. */
export const page = { rows: 500, bytes: 4 * 1024 ** 2 }

/** The next rows after a position; `complete` when there are no more. */
export const read = (
  { fence: { consumer, p } }: Origin,
  stream: string,
  after: number
): Effect.Effect<{ readonly rows: ReadonlyArray<Commit.OutboxRow>; readonly complete: boolean }, unknown, Sql> =>
  Effect.flatMap(Sql, (sql) =>
    Effect.tryPromise(async () => {
      const found = await sql`
        select pos, id, subject, headers, body from (
          select *, sum(length(body)) over (order by pos) - length(body) as before from (
            select pos, id, subject, headers, body from troupe.outbox
             where consumer = ${consumer} and p = ${p} and stream = ${stream} and pos > ${after}
             order by pos limit ${page.rows}) rows) sized
         where before < ${page.bytes} order by pos`
      const rows = found.map((row): Commit.OutboxRow => ({
        pos: Number(row["pos"]),
        stream,
        id: row["id"],
        subject: row["subject"],
        headers: row["headers"],
        body: row["body"]
      }))
      // In doubt there are more: then the next page is empty.
      const size = rows.reduce((sum, { body }) => sum + body.length, 0)
      return { rows, complete: rows.length < page.rows && size < page.bytes }
    })
  )

export interface Destination {
  readonly stream: string
  /** The newest position of its rows. */
  readonly newest: number
}

/** The streams that rows are kept for. Reads two index entries a stream, whatever the outbox holds. */
export const destinations = ({
  fence: { consumer, p }
}: Origin): Effect.Effect<ReadonlyArray<Destination>, unknown, Sql> =>
  Effect.flatMap(Sql, (sql) =>
    Effect.tryPromise(async () => {
      // Each limit is there for the planner: it then walks the index instead of the table.
      const rows = await sql`
        with recursive destination as (
          (select stream from troupe.outbox where consumer = ${consumer} and p = ${p} order by stream limit 1)
          union all
          select next.stream from destination cross join lateral (
            select o.stream from troupe.outbox o
             where o.consumer = ${consumer} and o.p = ${p} and o.stream > destination.stream
             order by o.stream limit 1) next
        )
        select stream, newest.pos from destination cross join lateral (
          select o.pos from troupe.outbox o
           where o.consumer = ${consumer} and o.p = ${p} and o.stream = destination.stream
           order by o.pos desc limit 1) newest`
      return rows.map((row) => ({ stream: row["stream"], newest: Number(row["pos"]) }))
    })
  )

/** How far a stream has what is in the outbox for it. */
export const watermark = (
  { fence: { consumer, p } }: Origin,
  stream: string
): Effect.Effect<Commit.WatermarkRow | undefined, unknown, Sql> =>
  Effect.flatMap(Sql, (sql) =>
    Effect.tryPromise(async () => {
      const [row] = await sql`select pos, sequence, created from troupe.watermark
        where consumer = ${consumer} and p = ${p} and stream = ${stream}`
      return row === undefined
        ? undefined
        : { stream, pos: Number(row["pos"]), sequence: Number(row["sequence"]), created: String(row["created"]) }
    })
  )

/** The ids of the last rows up to a position, the last one first. Rows that were given up went nowhere, and are left out. */
export const idsUpTo = (
  { fence: { consumer, p } }: Origin,
  stream: string,
  pos: number
): Effect.Effect<ReadonlyArray<string>, unknown, Sql> =>
  Effect.flatMap(Sql, (sql) =>
    Effect.tryPromise(async () => {
      const rows = await sql`select id from troupe.outbox o
        where consumer = ${consumer} and p = ${p} and stream = ${stream} and pos <= ${pos} and not exists (
          select from troupe.dead d
           where d.consumer = o.consumer and d.p = o.p and d.message_id = o.id::text and d.sequence = 0)
        order by pos desc limit 20`
      return rows.map((row) => String(row["id"]))
    })
  )
