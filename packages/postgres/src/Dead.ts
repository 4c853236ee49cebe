import type postgres from "postgres"

/** What a partition has of dead letters. */
export interface Kept {
  readonly messages: number
  /** Of bodies and headers, and 500 for each message. */
  readonly bytes: number
  /** The letter that stands for those that were not kept. */
  readonly summary: { readonly id: number; readonly body: Uint8Array } | undefined
}

/** The code of the letter that stands for those that were not kept. */
export const summary = "TRP0323"

/** About what a dead letter takes. */
export const sizeOf = ({ body, headers }: { readonly body: Uint8Array; readonly headers: string }): number =>
  body.length + headers.length + 500

/** Counts the newest dead letters of a partition, `most` of them at most. */
export const kept = async (sql: postgres.Sql, consumer: number, p: number, most: number): Promise<Kept> => {
  const [row] = await sql`
    with newest as (
      select id, code, octet_length(body) + octet_length(headers) + 500 as size from troupe.dead
       where consumer = ${consumer} and p = ${p} order by id desc limit ${most + 1}
    ), summary as (select max(id) as id from newest where code = ${summary})
    select count(*) filter (where code <> ${summary})::int as messages,
      coalesce(sum(size) filter (where code <> ${summary}), 0)::float8 as bytes,
      (select id from summary) as id, (select d.body from troupe.dead d join summary s on d.id = s.id) as body
      from newest`
  const found = row?.["id"] ?? null
  return {
    messages: row?.["messages"] ?? 0,
    bytes: row?.["bytes"] ?? 0,
    summary: found === null ? undefined : { id: Number(found), body: row?.["body"] }
  }
}
