import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type postgres from "postgres"
import { failure } from "../BenchError.ts"
import { name as service } from "../counter/contract.ts"
import * as Hosts from "../counter/Hosts.ts"
import { type Progress, short, tenths } from "../Figures.ts"
import type { Print } from "../Line.ts"
import * as Limits from "../limits/Limits.ts"
import type * as Options from "../Options.ts"
import { say } from "../Progress.ts"
import * as Servers from "../Servers.ts"
import * as Rows from "./rows.ts"

/**
 * A host finds a backlog in its outbox; beside it, the same messages by a process that does nothing else, by each mode
 * that the server has, into a stream of the same shape.
 */
export const run = (options: Options.Options, print: Print): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const { rows, snapshot } = options
    const servers = yield* Servers.start(options)
    const raw: { [mode in Limits.Mode]?: number } = {}
    // Before and after, and the better one counts: a machine is not the same all the time.
    const alone = Effect.gen(function* () {
      for (const mode of Limits.modes) {
        const rate = yield* Limits.publish(servers, mode, rows)
        say(`${rows} messages with nothing else to do, by ${mode}: ${rate} a second`)
        raw[mode] = Math.max(raw[mode] ?? 0, rate)
      }
    })
    yield* alone
    const databaseUrl = yield* Servers.migrated(servers, "relay")
    const sql = yield* Servers.connected(databaseUrl)
    const settings = { natsUrl: servers.natsUrl, databaseUrl }
    // A host that ran once leaves the streams and the consumer's number behind.
    yield* Effect.scoped(Hosts.start(settings))
    say(`leaving ${rows} rows in the outbox ...`)
    yield* Effect.promise(() => leave(sql, rows))
    if (snapshot) yield* holdSnapshot(databaseUrl)

    const started = performance.now()
    const points = yield* Effect.scoped(
      Effect.andThen(
        Hosts.start(settings),
        Effect.promise(() => watch(servers, rows))
      )
    )
    const [first] = points
    const last = points.at(-1)
    if (first === undefined || last === undefined || last.count !== rows)
      return yield* failure(
        "the backlog is not in the stream once",
        `EVT_${service}`,
        `${last?.count ?? 0} of ${rows}`,
        "look at the relay"
      )
    yield* alone
    const relay = ((last.count - first.count) / (last.at - first.at)) * 1_000
    const rates = tenths(points)
    print({
      bench: "relay",
      rows,
      snapshot,
      relay: Math.round(relay),
      withStart: Math.round(rows / ((last.at - started) / 1_000)),
      raw,
      ratio: short(relay / Math.max(...Object.values(raw))),
      tenths: rates,
      steadiness: short(Math.min(...rates) / Math.max(...rates)),
      durability: servers.durability
    })
    return undefined
  })

/** The rows that a host would have left if it had stopped before it published anything: outbox and marks. */
const leave = async (sql: postgres.Sql, count: number): Promise<void> => {
  const [row] = await sql`select id from troupe.consumer where name = ${`${service}.Counter`}`
  const consumer: number = row?.["id"]
  const rows = Rows.make(service, count)
  const newest = new Map<number, number>()
  for (let from = 0; from < rows.length; from += 10_000) {
    const some = rows.slice(from, from + 10_000)
    for (const { p, pos } of some) newest.set(p, pos)
    await sql`
      insert into troupe.outbox (slot, consumer, p, pos, stream, id, subject, headers, body)
        select troupe.outbox_slot(now()), ${consumer}, o.p, o.pos, ${`EVT_${service}`}, o.id, o.subject, o.headers, o.body
          from unnest(${some.map(({ p }) => p)}::int[], ${some.map(({ pos }) => pos)}::bigint[],
            ${some.map(({ id }) => id)}::uuid[], ${some.map(({ subject }) => subject)}::text[],
            ${some.map(({ headers }) => JSON.stringify(headers))}::text[], ${some.map(({ body }) => body)}::text[])
            as o(p, pos, id, subject, headers, body)`
  }
  await sql`
    insert into troupe.mark (consumer, p, n, pos, cursors)
      select ${consumer}, m.p, 1 + coalesce((select max(n) from troupe.mark x where x.consumer = ${consumer} and x.p = m.p), 0), m.pos, '{}'
        from unnest(${[...newest.keys()]}::int[], ${[...newest.values()]}::bigint[]) as m(p, pos)`
  await sql`analyze troupe.outbox`
}

/** An old snapshot: what is deleted or updated from here on cannot be cleaned up. */
const holdSnapshot = (databaseUrl: string) =>
  Effect.gen(function* () {
    const sql = yield* Servers.connected(databaseUrl)
    yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const held = Promise.withResolvers<void>()
        const taken = Promise.withResolvers<void>()
        const transaction = sql.begin("isolation level repeatable read", async (tx) => {
          await tx`select count(*) from troupe.mark`
          taken.resolve()
          await held.promise
        })
        await taken.promise
        return { held, transaction }
      }),
      ({ held, transaction }) => Effect.promise(() => (held.resolve(), transaction))
    )
  })

/** How many messages the stream has, every 20 ms, until it has all of them or gains nothing for 30 s. */
const watch = async (servers: Servers.Servers, goal: number): Promise<ReadonlyArray<Progress>> => {
  const points: Array<Progress> = []
  let moved = performance.now()
  let told = moved
  for (;;) {
    const count = (await servers.jsm.streams.info(`EVT_${service}`)).state.messages
    const at = performance.now()
    const before = points.at(-1)?.count ?? 0
    if (count > before) {
      points.push({ at, count })
      moved = at
    }
    if (count >= goal || at - moved > 30_000) return points
    if (at - told > 2_000) {
      say(`${count} of ${goal} in the stream`)
      told = at
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
