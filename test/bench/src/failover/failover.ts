import { connect } from "@troupe/client/node"
import { Key } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type postgres from "postgres"
import { type BenchError, failure } from "../BenchError.ts"
import type { Child } from "../Child.ts"
import { Bench, name as service } from "../counter/contract.ts"
import * as Hosts from "../counter/Hosts.ts"
import { quantile } from "../Figures.ts"
import type { Print } from "../Line.ts"
import type * as Options from "../Options.ts"
import { say } from "../Progress.ts"
import * as Servers from "../Servers.ts"
import { audit } from "./audit.ts"
import * as Load from "./load.ts"

const partitions = 16

/** A host, and the id under which it owns partitions. */
interface Member {
  readonly child: Child
  readonly id: string
}

/** Hosts are killed, then frozen, under a light load; what nobody may see then is a commit too many or too few. */
export const run = (options: Options.Options, print: Print): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const servers = yield* Servers.start(options)
    const databaseUrl = yield* Servers.migrated(servers, "failover")
    const sql = yield* Servers.connected(databaseUrl)
    const client = yield* Effect.acquireRelease(
      Effect.promise(() => connect({ servers: servers.natsUrl, name: "bench" })),
      (client) => Effect.promise(() => client[Symbol.asyncDispose]())
    )
    const increment = (key: string): Promise<number> =>
      client.ask(Bench.Counter.at(key).increment({ n: 1 }), { timeout: "2 minutes" })

    const members: Array<Member> = []
    const known = new Set<string>()
    const join = Effect.gen(function* () {
      const child = yield* Hosts.start({ natsUrl: servers.natsUrl, databaseUrl })
      const id = yield* idOfNew(sql, known)
      known.add(id)
      members.push({ child, id })
    })
    while (members.length < options.hosts) yield* join
    const lease = yield* leaseOf(sql)
    const load = Load.start(increment)

    /** Takes a host out, by a signal, and measures until each partition that it owned answers again. */
    const strike = (signal: "SIGKILL" | "SIGSTOP") =>
      Effect.gen(function* () {
        const owned = yield* spread(sql, members)
        const victim = members[Math.floor(Math.random() * members.length)]
        const keys = (owned.get(victim?.id ?? "") ?? []).map(keyIn)
        if (victim === undefined || keys.length === 0) return yield* noOwner("the host that is to be struck")
        const since = performance.now()
        victim.child.kill(signal)
        const alone = members.length === 1
        const answers = yield* Effect.forkChild(
          Effect.promise(() => Promise.all(keys.map((key) => load.probe(key).then(() => performance.now() - since))))
        )
        members.splice(members.indexOf(victim), 1)
        if (alone) yield* join
        const times = yield* Fiber.join(answers)
        const struck = { first: Math.min(...times), all: Math.max(...times) }
        say(
          `${signal} of the owner of ${keys.length} partitions: first answer after ${Math.round(struck.first)} ms, ` +
            `all after ${Math.round(struck.all)} ms`
        )
        if (signal === "SIGSTOP") {
          // It finds out that it is no owner any more; what it does then must not matter.
          victim.child.kill("SIGCONT")
          yield* Effect.sleep("2 seconds")
          victim.child.kill("SIGTERM")
          yield* victim.child.ended
        }
        if (!alone) yield* join
        return struck
      })
    const kills = yield* Effect.replicateEffect(strike("SIGKILL"), options.kills)
    const freezes = yield* Effect.replicateEffect(strike("SIGSTOP"), options.freezes)
    const calls = yield* Effect.promise(() => load.stop())
    const found = yield* Effect.promise(() => audit(servers, sql, calls))
    const of = (times: ReadonlyArray<number>, q: number): number | null =>
      times.length === 0 ? null : Math.round(quantile(times, q))
    const [first, all] = [kills.map(({ first }) => first), kills.map(({ all }) => all)]
    const frozen = freezes.map(({ all }) => all)
    print({
      bench: "failover",
      hosts: options.hosts,
      kills: kills.length,
      p50_ms: of(first, 0.5),
      p95_ms: of(first, 0.95),
      max_ms: of(first, 1),
      all_p95_ms: of(all, 0.95),
      all_max_ms: of(all, 1),
      freezes: freezes.length,
      freeze_max_ms: of(frozen, 1),
      lease_ms: lease,
      ...found
    })
  })

/** How long a host may be silent before its partitions are taken, in ms, as the hosts say themselves. */
const leaseOf = (sql: postgres.Sql): Effect.Effect<number | null> =>
  Effect.promise(async () => {
    const [row] = await sql`
      select extract(epoch from (to_jsonb(h) ->> 'lease')::interval) * 1000 as ms from troupe.host h limit 1`
    const ms = Number(row?.["ms"])
    return ms > 0 ? ms : null
  })

const noOwner = (to: string): BenchError =>
  failure(
    "no owner found",
    to,
    "troupe.partition names none that lives, or none of the hosts of this bench",
    "look at troupe.partition and troupe.host"
  )

const owners = async (sql: postgres.Sql): Promise<ReadonlyMap<string, ReadonlyArray<number>>> => {
  const rows = await sql<Array<{ host: string; owned: Array<number> }>>`
    select p.host, array_agg(p.p) as owned from troupe.partition p join troupe.consumer c on c.id = p.consumer
     where c.name = ${`${service}.Counter`} and p.host is not null group by p.host`
  return new Map(rows.map(({ host, owned }) => [host, owned]))
}

const patiently = Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(1_500)])

/** The id of a host that was just started: an owner, or a host, that nobody knew. */
const idOfNew = (sql: postgres.Sql, known: ReadonlySet<string>): Effect.Effect<string, BenchError> =>
  Effect.gen(function* () {
    const ids = yield* Effect.promise(
      () =>
        sql<
          Array<{ id: string }>
        >`select id from troupe.host union select host from troupe.partition where host is not null`
    )
    const fresh = ids.find(({ id }) => !known.has(id))
    return fresh === undefined ? yield* noOwner("the host that was just started") : fresh.id
  }).pipe(Effect.retry(patiently))

/** Who owns what, once every partition has an owner that lives and every host owns some. */
const spread = (
  sql: postgres.Sql,
  members: ReadonlyArray<Member>
): Effect.Effect<ReadonlyMap<string, ReadonlyArray<number>>, BenchError> =>
  Effect.gen(function* () {
    const owned = yield* Effect.promise(() => owners(sql))
    const counted = members.reduce((sum, { id }) => sum + (owned.get(id)?.length ?? 0), 0)
    if (counted < partitions || members.some(({ id }) => !owned.has(id)))
      return yield* noOwner("some partitions or hosts")
    return owned
  }).pipe(Effect.retry(patiently))

/** A key of a partition that the load does not use. */
const keyIn = (p: number): string => {
  for (let i = 0; ; i++) if (Key.partition(`probe-${i}`, partitions) === p) return `probe-${i}`
}
