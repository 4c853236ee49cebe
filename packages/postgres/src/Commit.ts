import type { SQL } from "drizzle-orm"
import type postgres from "postgres"
import { sql as drizzleSql } from "./drizzle.ts"
import { numbered } from "./numbered.ts"

export { numbered } from "./numbered.ts"

/** Who commits: the token of the take-over, and the number of the newest mark as this owner knows it. */
export interface Fence {
  readonly consumer: number
  readonly p: number
  readonly token: string
  readonly n: number
}

/** The position of one consumer in one stream. */
export interface Cursor {
  /** Sequence of the last message whose effects are committed, or that is known to concern another partition. */
  readonly seq: number
  /** Its `ce-id`, or empty when it had none. */
  readonly id: string
  /** The stream's time of it, ms since 1970. Not in marks of older code. */
  readonly at?: number
  /** When the stream was created, ms since 1970. Not in marks of older code. */
  readonly created?: number
  /** How many more messages of the partition the stream had when this one was read. Not in marks of older code. */
  readonly left?: number
  /**
   * By actor that a subscriber listens to: the position in its lane of the last event that was read. Not in marks of older
   * code, nor before the first one.
   */
  readonly lanes?: Lanes | undefined
  /**
   * The database was set back when the last message of the partition had this sequence: what was read up to here may have been
   * handled, and answered, before.
   */
  readonly redo?: number | undefined
}
export type Lanes = { readonly [actor: string]: number }
export type Cursors = { readonly [stream: string]: Cursor }

export interface InboxRow {
  readonly id: string
  /** None for a message that nobody waits for. */
  readonly outcome: string | null
  readonly body: string | null
  /** SHA-256 of the request, hexadecimal: the same id with another payload is refused. */
  readonly hash: string | null
  /** The position of the last event that its turn said, 0 for none; null when it did not reply. Not in rows of older code. */
  readonly pos: number | null
}
export interface StateRow {
  /** The subject token of the key. */
  readonly key: string
  /** The version that this row becomes: the loaded one + 1. */
  readonly version: number
  readonly shape: number
  readonly body: string
}
export interface OutboxRow {
  readonly pos: number
  readonly stream: string
  readonly id: string
  /** Where it is published. */
  readonly subject: string
  /** JSON. */
  readonly headers: string
  /** The same, where whoever made the row has them at hand: the relay need not read the JSON. */
  readonly parsed?: { readonly [name: string]: string }
  readonly body: string
}
export interface DeadRow {
  readonly key: string | null
  readonly message: string | null
  readonly stream: string
  readonly sequence: number
  readonly subject: string
  /** JSON. */
  readonly headers: string
  readonly body: Uint8Array
  readonly code: string
  readonly reason: string
  /** The id that a redriven message had first. */
  readonly origin: string | null
}
/** A message that waits for its retry, or behind one of its key that does. */
export interface ParkedRow extends Omit<DeadRow, "key"> {
  /** The subject token. */
  readonly key: string
  /** Its place among the messages of its key. */
  readonly n: number
  readonly attempts: number
  /** ms until it is tried again; none: it waits behind another one. */
  readonly delay: number | null
}
export interface TimerRow {
  /** The subject token of the key that set it. */
  readonly key: string
  /** A key has one timer of a name: setting it again replaces it. */
  readonly name: string
  /** ms, by Postgres' clock from the commit on. */
  readonly delay: number
  readonly id: string
  readonly stream: string
  readonly subject: string
  /** JSON. */
  readonly headers: string
  readonly body: string
}
export interface WatermarkRow {
  readonly stream: string
  readonly pos: number
  readonly sequence: number
  /** When the stream was created, as it says. */
  readonly created: string
}

/** What is staged seldom. */
export interface More {
  readonly watermarks?: ReadonlyArray<WatermarkRow>
  /** Rows of `troupe.enqueued` that the outbox rows stand for. */
  readonly adopted?: ReadonlyArray<{ readonly id: number }>
  readonly dead?: ReadonlyArray<DeadRow>
  /** Dead letters that are no more: redriven or discarded. */
  readonly undead?: ReadonlyArray<{ readonly id: number }>
  readonly wishes?: ReadonlyArray<{ readonly id: number; readonly result: string }>
  readonly parked?: ReadonlyArray<ParkedRow>
  readonly unparked?: ReadonlyArray<Pick<ParkedRow, "key" | "n">>
  readonly retried?: ReadonlyArray<Pick<ParkedRow, "key" | "n" | "attempts" | "delay" | "code" | "reason">>
  readonly timers?: ReadonlyArray<TimerRow>
  /** Timers that fired or were cancelled: before `timers` are set. */
  readonly cleared?: ReadonlyArray<Pick<TimerRow, "key" | "name">>
}

/** The staged work of one partition: everything of it is committed together with its mark, or nothing. */
export interface Work {
  readonly fence: Fence
  /** The newest position given out. */
  readonly pos: number
  readonly cursors: Cursors
  readonly inbox: ReadonlyArray<InboxRow>
  readonly states: ReadonlyArray<StateRow>
  readonly outbox: ReadonlyArray<OutboxRow>
  readonly more: More
  /** About what it takes on the wire. */
  readonly bytes: number
}

/** Text as a column can keep it: well-formed Unicode without null characters, at most `limit` characters. */
export const clean = (text: string, limit: number): string =>
  text.slice(0, limit).toWellFormed().replaceAll("\0", "\u2400")

/** What became of a partition's work: committed, refused by the fence, or some message of it was handled before. */
export type Verdict = "committed" | "fenced" | "repeated"
/** By partition. */
export type Verdicts = (fence: Fence) => Verdict

/** Commits work of any number of partitions in one round trip. Of those that are not committed nothing is written. */
export const commit = async (sql: postgres.Sql, works: ReadonlyArray<Work>): Promise<Verdicts> =>
  verdicts(await sql.unsafe(text, parameters(works) as Array<never>, { prepare: true }))

/** The same inside a transaction of Drizzle's, for a partition whose handlers use it. */
export const commitIn = async (
  tx: { execute(query: SQL): PromiseLike<ReadonlyArray<Record<string, unknown>>> },
  work: Work
): Promise<Verdict> => verdicts(await tx.execute(statement(text, parameters([work]))))(work.fence)

/** Locks a partition for this transaction, and says whether it is still ours. */
export const fenceIn = async (
  tx: { execute(query: SQL): PromiseLike<ReadonlyArray<Record<string, unknown>>> },
  fence: Fence
): Promise<boolean> => numbers(await tx.execute(statement(fenceText, shown(fence)))).has(numbered(fence))

/** Says whether a partition is still ours, and where we know it to be. */
export const isOurs = async (sql: postgres.Sql, fence: Fence): Promise<boolean> =>
  numbers(await sql.unsafe(fenceText, shown(fence) as Array<never>, { prepare: true })).has(numbered(fence))

const shown = (fence: Fence): ReadonlyArray<unknown> => [[fence.consumer], [fence.p], [fence.token], [fence.n]]

const numbers = (rows: ReadonlyArray<Record<string, unknown>>): ReadonlySet<number> =>
  new Set(((rows[0]?.["ok"] ?? []) as ReadonlyArray<string | number>).map(Number))

const verdicts = (rows: ReadonlyArray<Record<string, unknown>>): Verdicts => {
  const found = numbers(rows)
  return (fence) => (found.has(numbered(fence)) ? "committed" : found.has(-numbered(fence)) ? "repeated" : "fenced")
}

/** A statement with `$1 ..` and its parameters, as Drizzle takes it. */
const statement = (text: string, parameters: ReadonlyArray<unknown>): SQL =>
  drizzleSql.join(
    text
      .split(/\$\d+/)
      .flatMap((piece, i) => [
        drizzleSql.raw(piece),
        ...(i < parameters.length ? [drizzleSql`${drizzleSql.param(parameters[i])}`] : [])
      ])
  )

/** The columns of each group of arrays. */
const groups = {
  fence: ["int", "uuid", "bigint", "bigint", "text"],
  inbox: ["int", "uuid", "text", "text", "text", "bigint"],
  state: ["int", "text", "bigint", "int", "text"],
  outbox: ["int", "bigint", "text", "uuid", "text", "text", "text"]
}
const call = (name: string, types: ReadonlyArray<string>): string =>
  `select ${name}(${types.map((type, i) => `$${i + 1}::${type}`).join(", ")}) as ok`
const arraysOf = (types: ReadonlyArray<string>) => types.map((type) => `${type}[]`)
// By way of text: postgres.js encodes what the server calls json.
const text = call("troupe.commit_v3", [...arraysOf(Object.values(groups).flat()), "text::json"])
const fenceText = call("troupe.fence_v1", arraysOf(["int", "int", "uuid", "bigint"]))

/** The work as columns, in the order of the function's parameters. */
const parameters = (works: ReadonlyArray<Work>): ReadonlyArray<unknown> => [
  ...columns(works, (work) => [work], [
    ({ fence }) => fence.token,
    ({ fence }) => fence.n,
    (work) => work.pos,
    (work) => JSON.stringify(work.cursors)
  ]),
  ...columns(works, (work) => work.inbox, [
    (row) => row.id,
    (row) => row.outcome,
    (row) => row.body,
    (row) => row.hash,
    (row) => row.pos
  ]),
  ...columns(works, (work) => work.states, [
    (row) => row.key,
    (row) => row.version,
    (row) => row.shape,
    (row) => row.body
  ]),
  ...columns(works, (work) => work.outbox, [
    (row) => row.pos,
    (row) => row.stream,
    (row) => row.id,
    (row) => row.subject,
    (row) => row.headers,
    (row) => row.body
  ]),
  moreOf(works)
]

/** The rows of all works as columns: the partition first. */
const columns = <Row>(
  works: ReadonlyArray<Work>,
  rows: (work: Work) => ReadonlyArray<Row>,
  fields: ReadonlyArray<(row: Row) => unknown>
): ReadonlyArray<ReadonlyArray<unknown>> => {
  const out: Array<Array<unknown>> = [[], ...fields.map(() => [])]
  for (const work of works) {
    for (const row of rows(work)) {
      out[0]!.push(numbered(work.fence))
      for (let i = 0; i < fields.length; i++) out[i + 1]!.push(fields[i]!(row))
    }
  }
  return out
}

/** What is staged seldom as one object of all rows, or null. */
const moreOf = (works: ReadonlyArray<Work>): string | null => {
  const more: Record<string, Array<object>> = {}
  for (const work of works) {
    const cp = numbered(work.fence)
    for (const [group, rows] of Object.entries(work.more)) {
      if (rows.length > 0) (more[group] ??= []).push(...rows.map((row: object) => ({ cp, ...row, ...bodyOf(row) })))
    }
  }
  return Object.keys(more).length === 0 ? null : JSON.stringify(more)
}

/** Bytes travel as base64. */
const bodyOf = (row: object): object =>
  "body" in row && row.body instanceof Uint8Array ? { body: Buffer.from(row.body).toString("base64") } : {}
