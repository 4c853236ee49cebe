import { jetstream } from "@nats-io/jetstream"
import type postgres from "postgres"
import { name as service } from "../counter/contract.ts"
import type { Servers } from "../Servers.ts"

/** What must not be: none of these may be above 0. */
export interface Audit {
  readonly calls: number
  /** A total of a key that two different events tell, or a counter beyond the calls that were answered. */
  readonly double_commits: number
  /** Calls that were answered and are in no counter. */
  readonly lost: number
  /** A key's events out of order, or one of them not there. */
  readonly disorder: number
  /** The same event in the stream more than once. */
  readonly repeated_events: number
}

/** Compares what was answered with the states and with the events, which must tell 1, 2, 3 ... of each key. */
export const audit = async (
  { jsm, nats }: Servers,
  sql: postgres.Sql,
  answered: ReadonlyMap<string, number>
): Promise<Audit> => {
  const stream = `EVT_${service}`
  const states = await sql<Array<{ key: string; body: string }>>`
    select s.key, s.body from troupe.state s join troupe.consumer c on c.id = s.consumer where c.name = ${`${service}.Counter`}`
  const counters = new Map(states.map(({ body, key }) => [key, Number(body)]))
  const wanted = states.reduce((sum, { body }) => sum + Number(body), 0)
  const until = performance.now() + 60_000
  const messages = async () => (await jsm.streams.info(stream)).state.messages
  while ((await messages()) < wanted && performance.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 100))

  const seen = new Map<string, { total: number; readonly ids: Map<number, string> }>()
  let doubles = 0
  let disorder = 0
  let repeated = 0
  const left = await messages()
  const consumer = await jetstream(nats).consumers.get(stream)
  const reading = await consumer.consume()
  let read = 0
  for await (const message of reading) {
    const key = message.subject.split(".").at(-1) ?? ""
    const { total } = message.json<{ readonly total: number }>()
    const id = message.headers?.get("ce-id") ?? ""
    const of = seen.get(key) ?? { total: 0, ids: new Map<number, string>() }
    seen.set(key, of)
    const before = of.ids.get(total)
    if (before === id) repeated++
    else if (before !== undefined) doubles++
    else {
      if (total !== of.total + 1) disorder++
      of.total = Math.max(of.total, total)
      of.ids.set(total, id)
    }
    if (++read >= left) break
  }
  for (const [key, counter] of counters) if (seen.get(key)?.ids.size !== counter) disorder++

  let lost = 0
  let calls = 0
  for (const [key, count] of answered) {
    calls += count
    const counter = counters.get(key) ?? 0
    lost += Math.max(0, count - counter)
    doubles += Math.max(0, counter - count)
  }
  return { calls, double_commits: doubles, lost, disorder, repeated_events: repeated }
}
