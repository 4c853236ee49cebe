import { execFileSync } from "node:child_process"
import { Key } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type postgres from "postgres"
import type { BenchError } from "../BenchError.ts"
import * as Child from "../Child.ts"
import { name as service } from "../counter/contract.ts"
import * as Hosts from "../counter/Hosts.ts"
import { median } from "../Figures.ts"
import type { Print } from "../Line.ts"
import type * as Options from "../Options.ts"
import { say } from "../Progress.ts"
import * as Servers from "../Servers.ts"
import type { Settings as Driver } from "../turns/driver.ts"
import type { Measured } from "../turns/load.ts"
import { keyOf } from "../turns/load.ts"

/** As `docs/operations.md` has a service run: on a machine with much memory Node.js collects late what turns leave behind. */
const heap = "--max-old-space-size=1536"
const partitions = 16
const callers = 512

/** What a host takes with nothing, with actors and timers that only exist, and under load on all of them. */
export const run = (options: Options.Options, print: Print): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const { actors, seconds, timers } = options
    const servers = yield* Servers.start(options)
    const databaseUrl = yield* Servers.migrated(servers, "memory")
    const sql = yield* Servers.connected(databaseUrl)
    const settings = { natsUrl: servers.natsUrl, databaseUrl }
    const idle = (what: string): Effect.Effect<number, BenchError> =>
      Effect.scoped(
        Effect.gen(function* () {
          const mb = yield* atRest(yield* Hosts.start(settings, [heap]))
          say(`${what}: ${mb} MB`)
          return mb
        })
      )
    const none = yield* idle("a host with no actors, at rest")
    say(`making ${actors} actors ...`)
    yield* Effect.promise(() => makeActors(sql, actors))
    const asleep = yield* idle(`with ${actors} actors that sleep`)
    yield* Effect.promise(() => makeTimers(sql, timers))
    const pending = yield* idle(`with ${timers} timers that are a day away`)

    const host = yield* Hosts.start(settings, [heap])
    const load = { callers, keys: actors, seconds, warm: seconds / 3 }
    const settled: Driver = { target: { natsUrl: servers.natsUrl }, keys: actors, load }
    const driver = yield* Child.node(new URL("../turns/driver.ts", import.meta.url), settled)
    const sampling = yield* Effect.forkChild(highest(host, driver))
    const [, text = ""] = yield* driver.said(/^measured (.*)$/)
    const { p99, rate }: Measured = JSON.parse(text)
    const most = yield* Fiber.join(sampling)
    print({
      bench: "memory",
      actors,
      timers,
      node: heap,
      idle_mb: none,
      asleep_mb: asleep,
      timers_mb: pending,
      load_mb: most,
      load: { callers, calls: Math.round(rate), p99: Math.round(p99) },
      after_load_mb: yield* atRest(host)
    })
  })

const residentMb = (pid: number): number =>
  Math.round(Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) / 1_024)

/** The median of five looks within five seconds. */
const atRest = ({ pid }: Child.Child): Effect.Effect<number> =>
  Effect.map(
    Effect.replicateEffect(
      Effect.andThen(
        Effect.sleep("1 second"),
        Effect.sync(() => residentMb(pid))
      ),
      5
    ),
    median
  )

/** The most that a host took while the driver ran, looked at ten times a second. */
const highest = ({ pid }: Child.Child, driver: Child.Child): Effect.Effect<number> =>
  Effect.gen(function* () {
    let most = 0
    while (driver.isRunning()) {
      most = Math.max(most, residentMb(pid))
      yield* Effect.sleep("100 millis")
    }
    return most
  })

const consumerOf = async (sql: postgres.Sql): Promise<number> => {
  const [row] = await sql`select id from troupe.consumer where name = ${`${service}.Counter`}`
  return row?.["id"]
}

const inChunks = async (count: number, insert: (keys: ReadonlyArray<string>) => Promise<unknown>): Promise<void> => {
  for (let from = 0; from < count; from += 20_000)
    await insert(Array.from({ length: Math.min(20_000, count - from) }, (_, i) => keyOf(from + i)))
}
const partitionsOf = (keys: ReadonlyArray<string>): ReadonlyArray<number> =>
  keys.map((key) => Key.partition(key, partitions))

const makeActors = async (sql: postgres.Sql, count: number): Promise<void> => {
  const consumer = await consumerOf(sql)
  await inChunks(
    count,
    (keys) => sql`
      insert into troupe.state (consumer, key, p, version, shape, body)
        select ${consumer}, s.key, s.p, 1, 1, '0' from unnest(${keys as Array<string>}::text[], ${partitionsOf(keys) as Array<number>}::int[]) as s(key, p)`
  )
  await sql`analyze troupe.state`
}

const makeTimers = async (sql: postgres.Sql, count: number): Promise<void> => {
  const consumer = await consumerOf(sql)
  await inChunks(
    count,
    (keys) => sql`
      insert into troupe.timer (consumer, p, key, name, due, id, stream, subject, headers, body)
        select ${consumer}, t.p, t.key, 'sleeps', now() + interval '1 day', gen_random_uuid(), ${`CMD_${service}`},
               'cmd.' || ${service}::text || '.Counter.increment.' || t.key, '{}', '{"n":1}'
          from unnest(${keys as Array<string>}::text[], ${partitionsOf(keys) as Array<number>}::int[]) as t(key, p)`
  )
}
