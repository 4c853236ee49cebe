import { Codes } from "@troupe/contract"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
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
  /** The id that it had first, when it was redriven before. */
  readonly origin: string | undefined
  readonly at: Date
  /** What somebody wished for it that nobody has done yet: the oldest such wish. */
  readonly wished: { readonly kind: string; readonly by: string; readonly at: Date } | undefined
}

/** Which dead letters: of this code, of this consumer; default all. */
export interface Which {
  readonly code?: string | null
  readonly consumer?: string | null
}

/**
 * A dead letter could not be redriven or discarded: there is none with this id (TRP0601), it cannot be (TRP0604), or
 * nobody did it in time (TRP0605). Its message is for a person.
 */
export class WishError extends Schema.TaggedError<WishError>()("WishError", {
  code: Schema.Literals(["TRP0601", "TRP0604", "TRP0605"]),
  message: Schema.String
}) {}

/** Who wishes, and how long to wait for it. */
export interface WishOptions {
  /** Kept with the wish: a person or a program. */
  readonly by: string
  /** Default 10 seconds. After it the wish is kept, and done by the next owner of the partition. */
  readonly timeout?: Duration.Input
}

/** The newest first, at most `limit` (default 100). */
export const list = (
  sql: postgres.Sql,
  { limit = 100, ...which }: Which & { readonly limit?: number } = {}
): Effect.Effect<ReadonlyArray<DeadLetter>, DbError> => read(sql, which, null, limit)

/** One dead letter by its id. */
export const get = (sql: postgres.Sql, id: number): Effect.Effect<DeadLetter | undefined, DbError> =>
  Effect.map(read(sql, {}, id, 1), (rows) => rows[0])

/** The ids of all of them, the oldest first. */
export const ids = (
  sql: postgres.Sql,
  { code = null, consumer = null }: Which = {}
): Effect.Effect<ReadonlyArray<number>, DbError> =>
  Effect.map(
    ask(
      () => sql`select d.id from troupe.dead d join troupe.consumer c on c.id = d.consumer
        where (${code}::text is null or d.code = ${code}) and (${consumer}::text is null or c.name = ${consumer})
        order by d.id`
    ),
    (rows) => rows.map((row) => Number(row["id"]))
  )

const read = (sql: postgres.Sql, { code = null, consumer = null }: Which, id: number | null, limit: number) =>
  Effect.map(
    ask(
      () => sql`select d.*, c.name as consumer_name, w.kind as wish_kind, w.by as wish_by, w.at as wish_at
        from troupe.dead d join troupe.consumer c on c.id = d.consumer
        left join lateral (
          select * from troupe.wish w where w.consumer = d.consumer and w.p = d.p and w.dead = d.id and w.done is null
          order by w.id limit 1) w on true
        where (${id}::bigint is null or d.id = ${id}) and (${code}::text is null or d.code = ${code})
          and (${consumer}::text is null or c.name = ${consumer})
        order by d.id desc limit ${limit}`
    ),
    (rows) => rows.map(fromRow)
  )

/**
 * Has a dead letter handled once more, in front of what waits for its key, under a new id that this answers. The owner of
 * its partition does it. Nobody waits for a reply any longer: none is sent.
 */
export const redrive = (
  sql: postgres.Sql,
  id: number,
  options: WishOptions
): Effect.Effect<{ readonly messageId: string }, DbError | WishError> => wish(sql, id, "redrive", options)

/** Has a dead letter deleted; a key that waited for it goes on. The owner of its partition does it. */
export const discard = (
  sql: postgres.Sql,
  id: number,
  options: WishOptions
): Effect.Effect<void, DbError | WishError> => Effect.asVoid(wish(sql, id, "discard", options))

const wish = (
  sql: postgres.Sql,
  id: number,
  kind: "redrive" | "discard",
  { by, timeout = "10 seconds" }: WishOptions
) =>
  Effect.gen(function* () {
    const failed = (code: WishError["code"], why: string) =>
      new WishError({ code, message: Codes.text(code, String(id), why) })
    const [wished] = yield* ask(
      () => sql`insert into troupe.wish (consumer, p, kind, dead, by)
        select consumer, p, ${kind}, id, ${by} from troupe.dead where id = ${id} returning id`
    )
    if (wished === undefined) return yield* failed("TRP0601", "there is none with this id")
    const done = yield* ask(
      () => sql`select result from troupe.wish where id = ${wished["id"]} and done is not null`
    ).pipe(
      Effect.repeat({ until: (rows) => rows.length > 0, schedule: Schedule.spaced("50 millis") }),
      Effect.timeoutOption(timeout)
    )
    if (Option.isNone(done))
      return yield* failed("TRP0605", `after ${Duration.format(Duration.fromInputUnsafe(timeout))}`)
    const result: WishResult = JSON.parse(done.value[0]!["result"])
    return "code" in result ? yield* failed(result.code, result.why) : result
  })

/** What an owner writes of a wish, as JSON. */
export type WishResult = { readonly messageId: string } | { readonly code: "TRP0601" | "TRP0604"; readonly why: string }

const ask = (run: () => Promise<ReadonlyArray<postgres.Row>>): Effect.Effect<ReadonlyArray<postgres.Row>, DbError> =>
  Effect.tryPromise({ try: async () => await run(), catch: (cause) => new DbError({ cause }) })

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
  origin: row["origin"] ?? undefined,
  at: row["at"],
  wished: row["wish_kind"] === null ? undefined : { kind: row["wish_kind"], by: row["wish_by"], at: row["wish_at"] }
})
