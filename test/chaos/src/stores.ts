import { jetstream } from "@nats-io/jetstream"
import { Key } from "@troupe/contract"
import { name } from "./bank.ts"
import type { World } from "./world.ts"

/** A change of an account: an event in the stream, or its row in the ledger. */
export interface Change {
  readonly what: "opened" | "debited" | "credited" | "held" | "settled" | "returned"
  readonly key: string
  readonly nth: number
  readonly balance: number
  readonly transfer: string | null
}
export interface Event extends Change {
  readonly id: string
  readonly partition: number
  readonly position: number
  readonly cents: number
  /** Time when the stream took it, in ms since 1970. */
  readonly at: number
}
/** What the stores say when a run is over. */
export interface Stores {
  readonly states: ReadonlyMap<string, { readonly nth: number; readonly balance: number }>
  /** In the order of the stream. */
  readonly events: ReadonlyArray<Event>
  /** In the order in which they were written. */
  readonly ledger: ReadonlyArray<Change>
  /** How each message was handled by the accounts: `reply`, `error`, or nothing for who asked nothing. */
  readonly inbox: ReadonlyMap<string, string | null>
  /** Transfers whose plain transaction was committed. */
  readonly ordered: ReadonlySet<string>
  /** Commits of partitions: how many, how many numbers, and the last number. */
  readonly marks: ReadonlyArray<{
    readonly partition: string
    readonly commits: number
    readonly numbers: number
    readonly last: number
  }>
  /** Dead letters, for a person. */
  readonly dead: ReadonlyArray<string>
  readonly parked: number
  readonly enqueued: number
  readonly timers: number
  /** Rows of the outbox beyond their watermark, by consumer, partition and stream, for a person. */
  readonly unrelayed: ReadonlyArray<string>
}

export const read = async (world: World): Promise<Stores> => {
  const { sql } = world
  const states = await sql`select s.key, s.body from troupe.state s join troupe.consumer c on c.id = s.consumer
    where c.name = ${`${name}.Account`}`
  const ledger = await sql<Array<Change>>`select what, key, nth, balance, transfer from app.ledger order by id`
  const inbox = await sql<Array<{ id: string; outcome: string | null }>>`select i.id, i.outcome from troupe.inbox i
    join troupe.consumer c on c.id = i.consumer where c.name = ${`${name}.Account`}`
  const ordered = await sql<Array<{ id: string }>>`select id from app.ordered`
  const marks = await sql<Array<Stores["marks"][number]>>`
    select c.name || ', partition ' || m.p as partition, count(*)::int as commits, count(distinct m.n)::int as numbers, max(m.n)::int as last
      from app.marked m join troupe.consumer c on c.id = m.consumer group by c.name, m.p`
  const dead = await sql`select code, subject, reason from troupe.dead`
  return {
    states: new Map(states.map((row) => [Key.decode(row["key"]) ?? row["key"], JSON.parse(row["body"])])),
    events: await events(world),
    ledger,
    inbox: new Map(inbox.map(({ id, outcome }) => [id, outcome])),
    ordered: new Set(ordered.map(({ id }) => id)),
    marks,
    dead: dead.map((row) => `${row["code"]} of ${row["subject"]}: ${row["reason"]}`),
    ...(await waiting(world))
  }
}

/** What waits for its time, its adoption or its relay. */
export const waiting = async ({
  sql
}: World): Promise<Pick<Stores, "parked" | "enqueued" | "timers" | "unrelayed">> => {
  const [counts] = await sql<[Pick<Stores, "parked" | "enqueued" | "timers">]>`
    select (select count(*) from troupe.parked)::int as parked, (select count(*) from troupe.enqueued)::int as enqueued,
      (select count(*) from troupe.timer)::int as timers`
  const rows =
    await sql`select c.name, o.p, o.stream, count(*)::int as n, min(o.pos) as first, coalesce(w.pos, 0) as watermark
    from troupe.outbox o join troupe.consumer c on c.id = o.consumer
    left join troupe.watermark w on w.consumer = o.consumer and w.p = o.p and w.stream = o.stream
    where o.pos > coalesce(w.pos, 0) group by c.name, o.p, o.stream, w.pos order by c.name, o.p, o.stream`
  const unrelayed = rows.map(
    (row) =>
      `${row["name"]}, partition ${row["p"]}, to ${row["stream"]}: ${row["n"]} from ${row["first"]} on, beyond ${row["watermark"]}`
  )
  return { ...counts, unrelayed }
}

const events = async ({ connection, jsm }: World): Promise<ReadonlyArray<Event>> => {
  const stream = `EVT_${name}`
  const { last_seq, messages } = (await jsm.streams.info(stream)).state
  const found: Array<Event> = []
  if (messages === 0) return found
  const consumer = await jetstream(connection).consumers.get(stream)
  for await (const message of await consumer.consume()) {
    const [, , partition, , what, token] = message.subject.split(".")
    found.push({
      ...message.json<Pick<Event, "nth" | "balance" | "transfer" | "cents">>(),
      what: what as Change["what"],
      key: Key.decode(token!)!,
      id: message.headers!.get("ce-id"),
      partition: Number(partition),
      position: Number(message.headers!.get("Troupe-Lane-Position")),
      at: message.info.timestampNanos / 1_000_000
    })
    if (message.seq >= last_seq) break
  }
  return found
}
