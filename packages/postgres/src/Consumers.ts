import type postgres from "postgres"

/** An actor or subscriber that a database knows. */
export interface Consumer {
  readonly id: number
  /** `orders.Order`, `orders.journal`, `orders.outbox`. */
  readonly name: string
  readonly partitions: number
  /** Living hosts whose code has it. */
  readonly hosts: number
  /** Messages that wait in Postgres: timers, parked messages, dead letters. */
  readonly timers: number
  readonly parked: number
  readonly dead: number
  /** Cursors of the stream of commands, by partition, where one was committed. */
  readonly cursors: ReadonlyMap<number, number>
}

/** Consumers that no living host runs: removed from the code, or not there while their hosts are down. */
export const unclaimed = async (sql: postgres.Sql, commands: string): Promise<ReadonlyArray<Consumer>> =>
  (await list(sql, commands)).filter(({ hosts }) => hosts === 0)

/** Every consumer; `commands` is the stream of the service's commands. Counts of messages stop at 10,000 each. */
export const list = async (sql: postgres.Sql, commands: string): Promise<ReadonlyArray<Consumer>> => {
  const rows = await sql`select c.id, c.name, c.partitions,
    (select count(*)::int from troupe.living_v1() l where c.id = any (l.consumers)) as hosts,
    (select count(*)::int from (select from troupe.timer t where t.consumer = c.id limit 10000) x) as timers,
    (select count(*)::int from (select from troupe.parked t where t.consumer = c.id limit 10000) x) as parked,
    (select count(*)::int from (select from troupe.dead t where t.consumer = c.id limit 10000) x) as dead,
    (select coalesce(json_agg(json_build_array(t.p, m.cursors)), '[]')::text from troupe.partition t cross join lateral (
       select x.cursors from troupe.mark x where x.consumer = t.consumer and x.p = t.p order by x.n desc limit 1) m
      where t.consumer = c.id) as cursors
    from troupe.consumer c order by c.name`
  return rows.map((row) => ({
    id: row["id"],
    name: row["name"],
    partitions: row["partitions"],
    hosts: row["hosts"],
    timers: row["timers"],
    parked: row["parked"],
    dead: row["dead"],
    cursors: new Map(
      (JSON.parse(row["cursors"]) as ReadonlyArray<[number, string]>).map(([p, cursors]) => [
        p,
        (JSON.parse(cursors) as Record<string, { seq: number } | undefined>)[commands]?.seq ?? 0
      ])
    )
  }))
}

/** What was deleted of a consumer, by table. */
export type Removed = Readonly<Record<string, number>>

/** Tables that have rows of a consumer, as `troupe.remove_consumer_v1` deletes them. */
const tables = [
  "wish",
  "dead",
  "parked",
  "timer",
  "suspect",
  "state",
  "inbox",
  "outbox",
  "watermark",
  "mark",
  "partition"
] as const

/** What `remove` would delete. */
export const counts = async (sql: postgres.Sql, id: number): Promise<Removed> => {
  const found = await sql.unsafe(
    tables
      .map((table) => `select '${table}' as name, count(*)::int as n from troupe.${table} where consumer = $1`)
      .join(" union all "),
    [id]
  )
  return Object.fromEntries(found.map((row) => [row["name"], row["n"]]))
}

/** Deletes all of a consumer, unless a living host runs it: then nothing, and `undefined`. */
export const remove = async (sql: postgres.Sql, id: number): Promise<Removed | undefined> => {
  const [row] = await sql`select troupe.remove_consumer_v1(${id}) as removed`
  return JSON.parse(row?.["removed"] ?? "null") ?? undefined
}
