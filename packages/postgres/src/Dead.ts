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

/** Counts the dead letters of a partition, `most` of them at most. */
export const kept = async (sql: postgres.Sql, consumer: number, p: number, most: number): Promise<Kept> => {
  const [letters, found] = await Promise.all([
    sql`select count(*)::int as messages, coalesce(sum(size), 0)::float8 as bytes from (
      select octet_length(body) + octet_length(headers) + 500 as size from troupe.dead
       where consumer = ${consumer} and p = ${p} and code <> ${summary} limit ${most}) letters`,
    sql`select id, body from troupe.dead where consumer = ${consumer} and p = ${p} and code = ${summary}
      order by id desc limit 1`
  ])
  const [row] = found
  return {
    messages: letters[0]?.["messages"] ?? 0,
    bytes: letters[0]?.["bytes"] ?? 0,
    summary: row === undefined ? undefined : { id: Number(row["id"]), body: row["body"] }
  }
}
