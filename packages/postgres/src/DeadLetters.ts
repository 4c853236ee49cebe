import * as Effect from "effect/Effect"
import type postgres from "postgres"
import { DbError } from "./Db.ts"

/** A message that was given up, whole, and why. */
export interface DeadLetter {
  readonly id: number
  readonly consumer: string
  readonly partition: number
  /** Not encoded; none when the subject had none that could be read. */
  readonly key: string | undefined
  readonly messageId: string | undefined
  readonly stream: string
  readonly sequence: number
  readonly subject: string
  readonly headers: { readonly [name: string]: string }
  readonly body: Uint8Array
  /** Of `Codes`. */
  readonly code: string
  readonly reason: string
  readonly at: Date
}

/** The newest first, at most `limit` (default 100). */
export const list = (
  sql: postgres.Sql,
  options: { readonly limit?: number } = {}
): Effect.Effect<ReadonlyArray<DeadLetter>, DbError> =>
  query(
    () => sql`select d.*, c.name as consumer_name from troupe.dead d join troupe.consumer c on c.id = d.consumer
    order by d.id desc limit ${options.limit ?? 100}`
  )

/** One dead letter by its id. */
export const get = (sql: postgres.Sql, id: number): Effect.Effect<DeadLetter | undefined, DbError> =>
  Effect.map(
    query(
      () => sql`select d.*, c.name as consumer_name from troupe.dead d join troupe.consumer c on c.id = d.consumer
      where d.id = ${id}`
    ),
    (rows) => rows[0]
  )

const query = (run: () => Promise<ReadonlyArray<postgres.Row>>): Effect.Effect<ReadonlyArray<DeadLetter>, DbError> =>
  Effect.tryPromise({ try: async () => (await run()).map(fromRow), catch: (cause) => new DbError({ cause }) })

const fromRow = (row: postgres.Row): DeadLetter => ({
  id: Number(row["id"]),
  consumer: row["consumer_name"],
  partition: row["p"],
  key: row["key"] ?? undefined,
  messageId: row["message_id"] ?? undefined,
  stream: row["stream"],
  sequence: Number(row["sequence"]),
  subject: row["subject"],
  headers: JSON.parse(row["headers"]),
  body: row["body"],
  code: row["code"],
  reason: row["reason"],
  at: row["at"]
})
