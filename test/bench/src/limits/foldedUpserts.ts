// The rows of a turn, and nothing else: as many calls as there are callers, folded into one statement, two under way.
import { randomUUID } from "node:crypto"
import postgres from "postgres"

interface Settings {
  readonly databaseUrl: string
  readonly callers: number
  readonly keys: number
  readonly seconds: number
}

const { callers, databaseUrl, keys, seconds }: Settings = JSON.parse(process.argv[2] ?? "{}")
const lanes = 2
const sql = postgres(databaseUrl, { max: lanes, onnotice: () => {} })
await sql.unsafe(`
  create table state (key text collate "C" primary key, version bigint not null, body text not null);
  create table inbox (id uuid primary key, outcome text, body text);
  create table outbox (pos bigint primary key, id uuid not null, subject text not null, headers text not null, body text not null);
`)
const headers = JSON.stringify({ "ce-id": randomUUID(), "ce-type": "bench.Counter.incremented", "ce-source": "bench" })
const totals = new Map<string, number>()
let pos = 0
let done = 0
const ending = { is: false }

/** Each lane has keys of its own, so that two statements never wait for each other. */
const lane = async (index: number): Promise<void> => {
  while (!ending.is) {
    const calls = Array.from({ length: Math.ceil(callers / lanes) }, () => {
      const key = `key-${((Math.random() * (keys / lanes)) | 0) * lanes + index}`
      const total = (totals.get(key) ?? 0) + 1
      totals.set(key, total)
      return { key, total, id: randomUUID(), event: randomUUID(), pos: ++pos }
    })
    const states = [...new Set(calls.map(({ key }) => key))].sort()
    await sql`
      with s as (
        insert into state as t select * from unnest(${states}::text[], ${states.map((key) => totals.get(key) ?? 0)}::bigint[],
          ${states.map((key) => String(totals.get(key)))}::text[])
        on conflict (key) do update set version = excluded.version, body = excluded.body),
      i as (
        insert into inbox select unnest(${calls.map(({ id }) => id)}::uuid[]), 'reply', unnest(${calls.map(({ total }) => String(total))}::text[]))
      insert into outbox select unnest(${calls.map(({ pos }) => pos)}::bigint[]), unnest(${calls.map(({ event }) => event)}::uuid[]),
        unnest(${calls.map(({ key }) => `evt.bench.Counter.incremented.${key}`)}::text[]), ${headers},
        unnest(${calls.map(({ total }) => `{"n":1,"total":${total}}`)}::text[])`
    done += calls.length
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const all = Promise.all(Array.from({ length: lanes }, (_, index) => lane(index)))
await sleep(1_000)
const before = done
const since = performance.now()
await sleep(seconds * 1_000)
const rate = Math.round(((done - before) / (performance.now() - since)) * 1_000)
ending.is = true
await all
console.log(`rate ${rate}`)
await sql.end()
