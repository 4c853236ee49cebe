import type postgres from "postgres"
import type { Cursors, Fence } from "./Commit.ts"
import { numbered } from "./numbered.ts"

/** A partition that was taken, as it was left. */
export interface Taken {
  readonly fence: Fence
  readonly epoch: number
  readonly pos: number
  readonly cursors: Cursors
  /** The owner before ended without giving it back. */
  readonly died: boolean
  /** Ids of messages that ran when hosts ended, and how often that was while nothing else ran. */
  readonly suspects: ReadonlyMap<string, number>
}

/** A process that runs consumers of a service. */
export interface Host {
  /** New with every start. */
  readonly id: string
  /** Where it runs, for people. */
  readonly name: string
  readonly contract: number
  /** The consumers that it runs. */
  readonly consumers: ReadonlyArray<number>
  /** How long its heartbeat counts, in ms. */
  readonly lease: number
}

/** Who lives and who owns what, at one moment. */
export interface View {
  readonly hosts: ReadonlyArray<Living>
  readonly partitions: ReadonlyArray<Row>
}
/** A living host; `able`: it can work, as far as it knows. */
export interface Living extends Pick<Host, "id" | "contract" | "consumers"> {
  readonly able: boolean
}
export interface Row {
  readonly consumer: number
  readonly p: number
  /** Living or not. */
  readonly host: string | null
  /** Of the owner, or of the last one. */
  readonly contract: number
  /** Of those that the host that looks owns. */
  readonly token: string | null
}

/** Shown by all connections of a host, so that another one can end them. */
export const applicationName = (host: string): string => `troupe:${host}`

/** What the control connection of a host hears: hints, since a look tells the same. */
export const channels = { ownership: "troupe_ownership", enqueued: "troupe_enqueued" } as const

/**
 * Registers a consumer by its name and answers its number. `undefined` when it exists with another partition count,
 * which is fixed for good.
 */
export const consumer = async (sql: postgres.Sql, name: string, partitions: number): Promise<number | undefined> => {
  await sql`insert into troupe.consumer (name, partitions) values (${name}, ${partitions}) on conflict (name) do nothing`
  const [row] = await sql`select id, partitions from troupe.consumer where name = ${name}`
  if (Number(row?.["partitions"]) !== partitions) return undefined
  const id = Number(row?.["id"])
  await sql`insert into troupe.partition (consumer, p) select ${id}, generate_series(0, ${partitions}::int - 1) on conflict do nothing`
  return id
}

/** Has the control connection of a host hear both channels. */
export const listen = async (control: postgres.Sql): Promise<void> => {
  for (const channel of Object.values(channels)) await control.unsafe(`listen ${channel}`)
}

/**
 * Makes a host one of the living, on the connection that it lives by. The lock is shared with itself only: Postgres may
 * not have noticed yet that the connection before is gone. Hosts that died an hour ago are forgotten.
 */
export const join = async (control: postgres.Sql, host: Host): Promise<void> => {
  await control`select pg_advisory_lock_shared(troupe.host_lock(${host.id}::uuid))`
  await control`insert into troupe.host (id, name, contract, consumers, lease, heartbeat)
    values (${host.id}::uuid, ${host.name}, ${host.contract}, ${host.consumers as Array<number>}::int[],
      ${host.lease}::int * interval '1 ms', clock_timestamp())
    on conflict (id) do update set heartbeat = excluded.heartbeat, able = true`
  await control`delete from troupe.host where id in (
    select id from troupe.host where heartbeat < clock_timestamp() - interval '1 hour' limit 100)`
  await control`select pg_notify(${channels.ownership}, '')`
}

/** Says that a host lives, and whether it can work. `false` when it was forgotten. */
export const beat = async (control: postgres.Sql, host: string, able: boolean): Promise<boolean> =>
  (await control`update troupe.host set heartbeat = clock_timestamp(), able = ${able} where id = ${host}::uuid`)
    .count === 1

/** Who lives and who owns what of these consumers, as one host sees it. */
export const look = async (control: postgres.Sql, host: string, consumers: ReadonlyArray<number>): Promise<View> => {
  const [row] = await control`select
    (select coalesce(json_agg(json_build_array(id, contract, consumers, able)), '[]')::text from troupe.living_v2()) as hosts,
    (select coalesce(json_agg(json_build_array(consumer, p, host, contract, case when host = ${host}::uuid then token end)
        order by consumer, p), '[]')::text
      from troupe.partition where consumer = any (${consumers as Array<number>}::int[])) as partitions`
  const hosts: ReadonlyArray<[string, number, ReadonlyArray<number>, boolean]> = JSON.parse(row?.["hosts"])
  const partitions: ReadonlyArray<[number, number, string | null, number, string | null]> = JSON.parse(
    row?.["partitions"]
  )
  return {
    hosts: hosts.map(([id, contract, consumers, able]) => ({ id, contract, consumers, able })),
    partitions: partitions.map(([consumer, p, host, contract, token]) => ({ consumer, p, host, contract, token }))
  }
}

/** Takes what is free or was left by the dead, unless newer code had it; not what somebody has locked just now. */
export const take = async (
  sql: postgres.Sql,
  consumer: number,
  partitions: ReadonlyArray<number>,
  host: Pick<Host, "id" | "contract">
): Promise<ReadonlyArray<Taken>> => {
  const rows = await sql`
    select * from troupe.take_v4(${consumer}, ${partitions as Array<number>}::int[], ${host.id}::uuid, ${host.contract})`
  return rows.map((row) => ({
    fence: { consumer, p: Number(row["p"]), token: row["token"], n: Number(row["n"]) },
    epoch: Number(row["epoch"]),
    pos: Number(row["pos"]),
    cursors: JSON.parse(row["cursors"]),
    died: row["died"],
    suspects: new Map(Object.entries<number>(JSON.parse(row["suspects"])))
  }))
}

/** Messages that run, or ran, on a host. */
export interface Suspects {
  readonly host: string
  readonly by: "owner" | "watch"
  readonly messages: ReadonlyArray<{
    readonly consumer: number
    readonly p: number
    readonly id: string
    readonly what: string
  }>
}

/**
 * Notes what a host has begun, so that it outlives the host. `alone`: nothing else runs there. `strikes`, at least: how
 * often it has ended a host.
 */
export const suspect = async (
  sql: postgres.Sql,
  { by, host, messages }: Suspects,
  { alone, strikes = 0 }: { readonly alone: boolean; readonly strikes?: number }
): Promise<void> => {
  await sql`select troupe.suspect_v1(${host}::uuid, ${by}, ${messages.map(numbered)}::int[],
    ${messages.map(({ id }) => id)}::text[], ${messages.map(({ what }) => what)}::text[], ${alone}, ${strikes}::int)`
}

/**
 * The owner of a partition notes what it is about to run, and forgets what it noted before and has run. False: the partition
 * has another owner.
 */
export const suspectsOf = async (
  sql: postgres.Sql,
  { consumer, p, token }: Fence,
  done: ReadonlyArray<string>,
  next: ReadonlyArray<{ readonly id: string; readonly what: string }>,
  alone: boolean
): Promise<boolean> => {
  const [row] = await sql`select troupe.suspects_of_v1(${consumer}::int, ${p}::int, ${token}::uuid,
    ${done as Array<string>}::text[], ${next.map(({ id }) => id)}::text[], ${next.map(({ what }) => what)}::text[],
    ${alone}) as ours`
  return row?.["ours"] === true
}

/**
 * Notes that the connection was lost in the turn of a message, and answers how often it, `alone`, ended a host or a
 * connection. Whoever takes the partition next knows.
 */
export const lost = async (
  sql: postgres.Sql,
  { consumer, p }: Fence,
  { id, what }: { readonly id: string; readonly what: string },
  alone: boolean
): Promise<number> => {
  const [row] = await sql`select troupe.lost_v1(${consumer}::int, ${p}::int, ${id}, ${what}, ${alone}) as strikes`
  return Number(row?.["strikes"])
}

/** Forgets what the watch of a host noted, once that has ended well. */
export const unsuspect = async (sql: postgres.Sql, { by, host, messages }: Suspects): Promise<void> => {
  await sql`select troupe.unsuspect_v1(${host}::uuid, ${by}, ${messages.map(numbered)}::int[],
    ${messages.map(({ id }) => id)}::text[])`
}

/** Gives partitions back, each under its token; not what somebody has locked just now. */
export const release = async (
  sql: postgres.Sql,
  rows: ReadonlyArray<Pick<Row, "consumer" | "p" | "token">>
): Promise<void> => {
  await sql`select troupe.release_v2(${rows.map(({ consumer }) => consumer)}::int[],
    ${rows.map(({ p }) => p)}::int[], ${rows.map(({ token }) => token)}::uuid[])`
}

/**
 * Ends the connections of hosts that are dead, and answers how many were still there: one that is frozen inside a
 * transaction holds row locks for as long as Postgres believes in it.
 */
export const terminate = async (sql: postgres.Sql, hosts: ReadonlyArray<string>): Promise<number> => {
  const [row] = await sql`select count(pg_terminate_backend(pid))::int as n from pg_stat_activity
    where datname = current_database() and application_name = any (${hosts.map(applicationName)}::text[])`
  return Number(row?.["n"])
}

/** From here on nothing is assigned to a host. */
export const retire = async (control: postgres.Sql, host: string): Promise<void> => {
  await control`update troupe.host set consumers = '{}' where id = ${host}::uuid`
  await control`select pg_notify(${channels.ownership}, '')`
}

/** Forgets a host that owns nothing any more. */
export const leave = async (control: postgres.Sql, host: string): Promise<void> => {
  await control`delete from troupe.host where id = ${host}::uuid`
}
