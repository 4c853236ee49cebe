import type postgres from "postgres"
import type { WishResult } from "./DeadLetters.ts"
import type { DeadRow } from "./Commit.ts"

/** What an operator asked for. */
export interface Wish {
  readonly id: number
  readonly kind: "redrive" | "discard"
  /** None: it is gone. */
  readonly letter: Letter | undefined
}
export interface Letter extends DeadRow {
  readonly id: number
  /** ms since 1970: when it was given up. */
  readonly at: number
  /** The id that it gets when it is redriven by this wish: a UUIDv8. */
  readonly renamed: string
  /** The place of the first message that is parked of its key. */
  readonly head: number | undefined
  /** The place of its own message, where that still holds up its key. */
  readonly blocker: number | undefined
}

/** Partitions, as in `Commit.numbered`, for which something is wished. */
export const wished = async (sql: postgres.Sql): Promise<ReadonlySet<number>> => {
  const rows = await sql`select distinct consumer * 4096 + p as cp from troupe.wish where done is null`
  return new Set(rows.map((row) => row["cp"]))
}

/** The oldest wishes for a partition, at most 20. */
export const open = async (sql: postgres.Sql, consumer: number, p: number): Promise<ReadonlyArray<Wish>> => {
  const rows = await sql`
    select w.id as wish, w.kind, d.*, (extract(epoch from d.at) * 1000)::float8 as time, k.head, k.blocker,
           overlay(overlay(md5(w.id || ' ' || coalesce(d.message_id, '')) placing '8' from 13) placing '8' from 17)::uuid as renamed
      from (select * from troupe.wish where consumer = ${consumer} and p = ${p} and done is null order by id limit 20) w
      left join troupe.dead d on d.id = w.dead and d.consumer = w.consumer and d.p = w.p
      left join lateral (
        select min(k.n) as head, min(k.n) filter (where k.attempts > 0 and k.due = 'infinity' and k.stream = d.stream
                 and k.sequence = d.sequence and k.message_id = coalesce(d.message_id, '')) as blocker
          from troupe.parked k where k.consumer = d.consumer and k.p = d.p and k.key = split_part(d.subject, '.', 6)) k on true
     order by w.id`
  return rows.map((row) => ({
    id: Number(row["wish"]),
    kind: row["kind"],
    letter: row["id"] === null ? undefined : letter(row)
  }))
}

const letter = (row: postgres.Row): Letter => ({
  id: Number(row["id"]),
  key: row["key"],
  message: row["message_id"],
  stream: row["stream"],
  sequence: Number(row["sequence"]),
  subject: row["subject"],
  headers: row["headers"],
  body: row["body"],
  code: row["code"],
  reason: row["reason"],
  origin: row["origin"],
  at: row["time"],
  renamed: row["renamed"],
  head: row["head"] === null ? undefined : Number(row["head"]),
  blocker: row["blocker"] === null ? undefined : Number(row["blocker"])
})

/** A wish with what became of it, as it is committed. */
export const answered = (id: number, result: WishResult): { readonly id: number; readonly result: string } => ({
  id,
  result: JSON.stringify(result)
})
