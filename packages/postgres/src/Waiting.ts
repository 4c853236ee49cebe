import type postgres from "postgres"

/** A message that waits. A partition is written as in `Commit.numbered`. */
export interface Row {
  readonly cp: number
  /** The subject token. */
  readonly key: string
  readonly stream: string
  readonly sequence: number
  readonly subject: string
  /** JSON. */
  readonly headers: string
  readonly body: Uint8Array
}
export interface ParkedRow extends Row {
  readonly n: number
  readonly attempts: number
  /** It was given up, and its key waits for an operator. */
  readonly blocks: boolean
}
export interface TimerRow extends Row {
  readonly name: string
  /** ms since 1970. */
  readonly due: number
  /** ms until then; none are left of one whose time has come. */
  readonly left: number
}

/** A key of which messages are parked. */
export interface ParkedKey {
  readonly cp: number
  readonly key: string
  readonly head: number
  readonly next: number
  readonly count: number
  /** Of the bodies, and 500 each. */
  readonly bytes: number
  /** ms until its first message is tried; none: it was given up, and the key waits for an operator. */
  readonly delay: number | null
}

/** Rows of one partition that are read at once, per key or of timers; and their bytes, but for the first. */
const page = { rows: 100, bytes: 4 * 1024 ** 2 }

/** The parked keys of partitions, and how long (ms) each has until its nearest timer. */
export const enter = async (
  sql: postgres.Sql,
  partitions: ReadonlyArray<number>
): Promise<{ readonly keys: ReadonlyArray<ParkedKey>; readonly timers: ReadonlyMap<number, number> }> => {
  const [keys, timers] = await Promise.all([
    // The first message of a key has a time, or comes next since all before it are gone. A command that the owner before
    // did not know (TRP0202) may be one that this one knows.
    sql`select w.cp, k.key, min(k.n) as head, max(k.n) + 1 as next, count(*)::int as count, sum(length(k.body) + 500) as bytes,
          (array_agg(case
            when k.due = 'infinity' and k.attempts > 0 then null
            when k.due = 'infinity' or k.code = 'TRP0202' then 0
            else extract(epoch from k.due - clock_timestamp()) * 1000 end order by k.n))[1]::float8 as delay
        from unnest(${partitions as Array<number>}::int[]) as w(cp)
        join troupe.parked k on k.consumer = w.cp >> 12 and k.p = w.cp & 4095
       group by w.cp, k.key`,
    sql`select w.cp, (extract(epoch from t.due - clock_timestamp()) * 1000)::float8 as left
        from unnest(${partitions as Array<number>}::int[]) as w(cp) cross join lateral (
          select t.due from troupe.timer t where t.consumer = w.cp >> 12 and t.p = w.cp & 4095 order by t.due limit 1) t`
  ])
  return {
    keys: keys.map((row) => ({
      cp: row["cp"],
      key: row["key"],
      head: Number(row["head"]),
      next: Number(row["next"]),
      count: row["count"],
      bytes: Number(row["bytes"]),
      delay: row["delay"]
    })),
    timers: new Map(timers.map((row) => [row["cp"], row["left"]]))
  }
}

/** The first messages of parked keys, in order; a partition's keys in the order given. */
export const parked = async (
  sql: postgres.Sql,
  wanted: ReadonlyArray<{ readonly cp: number; readonly key: string }>
): Promise<ReadonlyArray<ParkedRow>> => {
  const rows = await sql`
    select * from (
      select w.cp, w.at, k.*, sum(length(k.body) + 500) over (partition by w.cp order by w.at, k.n) - length(k.body) as before
        from unnest(${wanted.map(({ cp }) => cp)}::int[], ${wanted.map(({ key }) => key)}::text[]) with ordinality as w(cp, key, at)
       cross join lateral (
          select k.key, k.n, k.attempts, k.attempts > 0 and k.due = 'infinity' as blocks,
                 k.stream, k.sequence, k.subject, k.headers, k.body
            from troupe.parked k where k.consumer = w.cp >> 12 and k.p = w.cp & 4095 and k.key = w.key
           order by k.n limit ${page.rows}) k) sized
     where before < ${page.bytes} order by cp, at, n`
  return rows.map((row) => ({ ...rowOf(row), n: Number(row["n"]), attempts: row["attempts"], blocks: row["blocks"] }))
}

/** A message that is parked. */
export interface Copy {
  readonly cp: number
  readonly key: string
  readonly id: string
  /** JSON. */
  readonly headers: string
  /** SHA-256 of subject and body, hex. */
  readonly said: string
}

/** Of these ids the messages that are parked. */
export const copies = async (
  sql: postgres.Sql,
  wanted: ReadonlyArray<{ readonly cp: number; readonly key: string; readonly id: string }>
): Promise<ReadonlyArray<Copy>> =>
  // The offset is there for the planner: it would read the whole table for the ids instead of a few keys.
  await sql`
    select w.cp, w.key, k.message_id as id, k.headers,
           encode(sha256(convert_to(k.subject, 'UTF8') || '\\x00'::bytea || k.body), 'hex') as said
      from (select distinct * from unnest(${wanted.map(({ cp }) => cp)}::int[], ${wanted.map(({ key }) => key)}::text[]) as w(cp, key)) w
     cross join lateral (
        select k.message_id, k.headers, k.subject, k.body from troupe.parked k
         where k.consumer = w.cp >> 12 and k.p = w.cp & 4095 and k.key = w.key offset 0) k
     where k.message_id = any (${wanted.map(({ id }) => id)}::text[])`

/** Timers whose time has come, by Postgres' clock, and the next one of each partition; not those of `held` keys. */
export const timers = async (
  sql: postgres.Sql,
  partitions: ReadonlyArray<number>,
  held: ReadonlyArray<{ readonly cp: number; readonly key: string }>
): Promise<ReadonlyArray<TimerRow>> => {
  // `not in` is looked up by hash: of a thousand held keys each would be compared with each of their timers.
  const rows = await sql`
    with clock as materialized (select clock_timestamp() as now),
    held as (select * from unnest(${held.map(({ cp }) => cp)}::int[], ${held.map(({ key }) => key)}::text[]) as h(cp, key))
    select w.cp, t.key, t.name, t.stream, 0 as sequence, t.subject, t.headers, convert_to(t.body, 'UTF8') as body,
           (extract(epoch from t.due) * 1000)::float8 as due, (extract(epoch from t.due - clock.now) * 1000)::float8 as left
      from clock cross join unnest(${partitions as Array<number>}::int[]) as w(cp) cross join lateral (
        (select * from (
          select t.*, sum(length(t.body)) over (order by t.due, t.key, t.name) - length(t.body) as before from (
            select t.* from troupe.timer t
             where t.consumer = w.cp >> 12 and t.p = w.cp & 4095 and t.due <= clock.now
               and (w.cp, t.key) not in (select * from held)
             order by t.due limit ${page.rows}) t) sized
          where before < ${page.bytes})
        union all
        (select t.*, 0 from troupe.timer t
          where t.consumer = w.cp >> 12 and t.p = w.cp & 4095 and t.due > clock.now
            and (w.cp, t.key) not in (select * from held)
          order by t.due limit 1)) t
     order by w.cp, t.due`
  return rows.map((row) => ({ ...rowOf(row), name: row["name"], due: row["due"], left: row["left"] }))
}

const rowOf = (row: postgres.Row): Row => ({
  cp: row["cp"],
  key: row["key"],
  stream: row["stream"],
  sequence: Number(row["sequence"]),
  subject: row["subject"],
  headers: row["headers"],
  body: row["body"]
})
