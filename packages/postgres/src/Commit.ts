import { sql as drizzleSql, type SQL } from "drizzle-orm"
import type postgres from "postgres"

/** Who commits: the token of the take-over, and the number of the newest mark as this owner knows it. */
export interface Fence {
  readonly consumer: number
  readonly p: number
  readonly token: string
  readonly n: number
}

/** The position of one consumer in one stream. */
export interface Cursor {
  /** Sequence of the last message whose effects are committed. */
  readonly seq: number
  /** Its `ce-id`, or empty when it had none. */
  readonly id: string
}
export type Cursors = { readonly [stream: string]: Cursor }

export interface InboxRow {
  readonly id: string
  /** None for a message that nobody waits for. */
  readonly outcome: string | null
  readonly body: string | null
  /** SHA-256 of the request, hexadecimal: the same id with another payload is refused. */
  readonly hash: string | null
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
  readonly body: string
}
export interface DeadRow {
  readonly key: string | null
  readonly messageId: string | null
  readonly stream: string
  readonly sequence: number
  readonly subject: string
  /** JSON. */
  readonly headers: string
  readonly body: Uint8Array
  readonly code: string
  readonly reason: string
}
export interface WatermarkRow {
  readonly stream: string
  readonly pos: number
  readonly sequence: number
  /** When the stream was created, as it says. */
  readonly created: string
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
  readonly dead: ReadonlyArray<DeadRow>
  readonly watermarks: ReadonlyArray<WatermarkRow>
  /** Ids of `troupe.enqueued` that the outbox rows stand for. */
  readonly adopted: ReadonlyArray<number>
  /** About what it takes on the wire. */
  readonly bytes: number
}

/** Text as a column can keep it: well-formed Unicode without null characters, at most `limit` characters. */
export const clean = (text: string, limit: number): string =>
  text.slice(0, limit).toWellFormed().replaceAll("\0", "\u2400")

/** A partition as one number, as the SQL functions return it. */
export const numbered = (fence: { readonly consumer: number; readonly p: number }): number =>
  fence.consumer * 4096 + fence.p

/** Commits work of any number of partitions in one round trip. Answers the partitions (`numbered`) that passed the fence. */
export const commit = async (sql: postgres.Sql, works: ReadonlyArray<Work>): Promise<ReadonlySet<number>> => {
  const rows = await sql.unsafe(text, parameters(works) as Array<never>, { prepare: true })
  return passed(rows)
}

/** The same inside a transaction of Drizzle's, for a partition whose handlers use it. */
export const commitIn = async (
  tx: { execute(query: SQL): PromiseLike<ReadonlyArray<Record<string, unknown>>> },
  work: Work
): Promise<boolean> => passed(await tx.execute(statement(text, parameters([work])))).has(numbered(work.fence))

/** Locks a partition for this transaction, and says whether it is still ours. */
export const fenceIn = async (
  tx: { execute(query: SQL): PromiseLike<ReadonlyArray<Record<string, unknown>>> },
  fence: Fence
): Promise<boolean> => {
  const parameters = [[fence.consumer], [fence.p], [fence.token], [fence.n]]
  return passed(await tx.execute(statement(fenceText, parameters))).has(numbered(fence))
}

const passed = (rows: ReadonlyArray<Record<string, unknown>>): ReadonlySet<number> =>
  new Set(((rows[0]?.["ok"] ?? []) as ReadonlyArray<string | number>).map(Number))

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

/** The columns of each group of arrays, after consumer and partition. */
const groups = {
  fenceAndMark: ["uuid", "bigint", "bigint", "text"],
  inbox: ["uuid", "text", "text", "text"],
  state: ["text", "bigint", "int", "text"],
  outbox: ["bigint", "text", "uuid", "text", "text", "text"],
  dead: ["text", "text", "text", "bigint", "text", "text", "text", "text", "text"],
  watermark: ["text", "bigint", "bigint", "text"],
  adopted: ["bigint"]
}
const types = Object.values(groups).flatMap((group) => ["int", "int", ...group])
const call = (name: string, types: ReadonlyArray<string>): string =>
  `select ${name}(${types.map((type, i) => `$${i + 1}::${type}[]`).join(", ")}) as ok`
const text = call("troupe.commit_v1", types)
const fenceText = call("troupe.fence_v1", ["int", "int", "uuid", "bigint"])

/** The work as columns, in the order of the function's parameters. */
const parameters = (works: ReadonlyArray<Work>): ReadonlyArray<ReadonlyArray<unknown>> => [
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
    (row) => row.hash
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
  ...columns(works, (work) => work.dead, [
    (row) => row.key,
    (row) => row.messageId,
    (row) => row.stream,
    (row) => row.sequence,
    (row) => row.subject,
    (row) => row.headers,
    (row) => Buffer.from(row.body).toString("base64"),
    (row) => row.code,
    (row) => row.reason
  ]),
  ...columns(works, (work) => work.watermarks, [
    (row) => row.stream,
    (row) => row.pos,
    (row) => row.sequence,
    (row) => row.created
  ]),
  ...columns(works, (work) => work.adopted, [(id) => id])
]

/** The rows of all works as columns: consumer and partition first. */
const columns = <Row>(
  works: ReadonlyArray<Work>,
  rows: (work: Work) => ReadonlyArray<Row>,
  fields: ReadonlyArray<(row: Row) => unknown>
): ReadonlyArray<ReadonlyArray<unknown>> => {
  const out: Array<Array<unknown>> = [[], [], ...fields.map(() => [])]
  for (const work of works) {
    for (const row of rows(work)) {
      out[0]!.push(work.fence.consumer)
      out[1]!.push(work.fence.p)
      for (let i = 0; i < fields.length; i++) out[i + 2]!.push(fields[i]!(row))
    }
  }
  return out
}
