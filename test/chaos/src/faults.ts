import { jetstream } from "@nats-io/jetstream"
import { headers as natsHeaders, nuid } from "@nats-io/nats-core"
import type { Client } from "@troupe/client"
import type { Db } from "@troupe/postgres"
import type { Link } from "@troupe/test-world/link"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { listen, NotFired, onHost, onLinks, query, streams, wait } from "./aim.ts"
import * as Processes from "./processes.ts"
import type { Fault, FaultOf, Kind } from "./schedule.ts"
import * as SetBack from "./setBack.ts"
import * as Strain from "./strain.ts"
import * as Streams from "./streams.ts"
import type { Slot, World } from "./world.ts"

/** Lets a fault strike and heals it; answers the evidence that it fired. */
export const strike = (world: World, fault: Fault): Effect.Effect<string, unknown, Client | Db> => {
  const { gate } = world
  const it = (faults[fault.kind] as Strike<Fault>)(world, fault)
  const begin = Effect.sync(() => void world.striking++)
  const end = Effect.sync(() => void world.striking--)
  const none = Effect.sync(() => world.striking === 0)
  return fault.kind === "starve"
    ? gate.withPermit(
        Effect.andThen(Effect.repeat(none, { until: (is) => is, schedule: Schedule.spaced("100 millis") }), it)
      )
    : Effect.acquireUseRelease(
        gate.withPermit(begin),
        () => it,
        () => end
      )
}

const onLink = <A, E>(
  world: World,
  { host, server }: { readonly host: number; readonly server: "nats" | "postgres" },
  use: (link: Link) => Effect.Effect<A, E>
): Effect.Effect<A, E | NotFired> => onLinks([world.slots[host]!], server, ([link]) => use(link!))

const hindered = (link: Link, ms: number, hinder: () => void): Effect.Effect<string, NotFired> =>
  Effect.gen(function* () {
    const before = link.hindered()
    hinder()
    yield* Effect.sleep(ms)
    // A host that is away or frozen says nothing until it is back.
    const chunks = yield* wait(
      "chunk over the link",
      Effect.sync(() => link.hindered() - before || undefined)
    )
    return `${chunks} chunks held back`
  })

type Strike<F> = (world: World, fault: F) => Effect.Effect<string, unknown, Client | Db>

const faults: { readonly [K in Kind]: Strike<FaultOf<K>> } = {
  "kill-host": (world, { host }) =>
    onHost(world, host, (host, slot) =>
      Effect.gen(function* () {
        slot.condemned = true
        host.kill("SIGKILL")
        const { signal } = yield* host.ended
        return signal === "SIGKILL" ? `process ${host.pid} is gone` : yield* new NotFired({ why: "it ended before" })
      })
    ),

  "freeze-host": (world, { host, ms }) =>
    onHost(world, host, (host, slot) =>
      Effect.gen(function* () {
        slot.excused = true
        host.kill("SIGSTOP")
        const stopped = () => Processes.all().find(({ pid, state }) => pid === host.pid && state.startsWith("T"))
        yield* wait("stopped process", Effect.sync(stopped))
        yield* Effect.sleep(ms)
        return `process ${host.pid} stood still for ${ms} ms`
      }).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            host.kill("SIGCONT")
            slot.excused = false
          })
        )
      )
    ),

  "end-host": (world, { host }) =>
    onHost(world, host, (host, slot) =>
      Effect.gen(function* () {
        slot.condemned = true
        host.kill("SIGTERM")
        const ended = yield* Effect.timeoutOption(host.ended, "20 seconds")
        if (ended._tag === "Some" && ended.value.code === 0) return `process ${host.pid} ended with code 0`
        world.problems.push(
          `SIGTERM of host ${slot.nth}: ${ended._tag === "None" ? "it did not end within 20 s" : `it ended with ${JSON.stringify(ended.value)}`}`
        )
        host.kill("SIGKILL")
        return `process ${host.pid} was asked to end`
      })
    ),

  "kill-nats": (world, { ms }) =>
    world.alone.nats.withPermit(
      Effect.gen(function* () {
        const pids = yield* world.nats.kill
        yield* Processes.gone(pids)
        yield* Effect.sleep(ms)
        yield* world.nats.start
        return `processes ${pids.join(", ")} are gone, ${world.nats.servers.map(({ pid }) => pid).join(", ")} came`
      })
    ),

  "kill-backend": (world) =>
    world.alone.postgres.withPermit(
      Effect.gen(function* () {
        const [pid] = yield* wait("backend", backends(world))
        process.kill(pid, "SIGKILL")
        yield* Processes.gone([pid])
        yield* query(() => world.sql`select 1`)
        return `backend ${pid} is gone, and Postgres recovered`
      })
    ),

  "kill-postmaster": (world, { ms }) =>
    world.alone.postgres.withPermit(
      Effect.gen(function* () {
        const { pid } = world.postgres
        const gone = yield* SetBack.killed(world)
        yield* Effect.sleep(ms)
        yield* world.postgres.restart
        return `process ${pid} is gone with ${gone - 1} children`
      })
    ),

  "terminate-backends": (world) =>
    world.alone.postgres.withPermit(
      Effect.gen(function* () {
        // Those that were seen may have ended by themselves: their server or their host is about to come or go.
        const ended = yield* wait(
          "backend to end",
          Effect.gen(function* () {
            const pids = yield* wait("backend", backends(world))
            const rows = yield* query(
              () => world.sql`select pg_terminate_backend(pid) as ended from unnest(${pids}::int[]) pid`
            )
            return rows.filter((row) => row["ended"] === true).length || undefined
          }).pipe(Effect.orElseSucceed(() => undefined))
        )
        return `${ended} backends ended`
      })
    ),

  "cut-link": (world, fault) =>
    onLink(world, fault, (link) =>
      Effect.gen(function* () {
        const dropped = link.cut()
        yield* Effect.sleep(fault.ms)
        return dropped > 0 ? `${dropped} connections dropped` : yield* new NotFired({ why: "none was dropped" })
      })
    ),

  "silence-link": (world, fault) => onLink(world, fault, (link) => hindered(link, fault.ms, () => link.silence())),

  "slow-link": (world, fault) => onLink(world, fault, (link) => hindered(link, fault.ms, () => link.slow(fault.delay))),

  "set-back": (world, { ms }) => SetBack.broker(world, ms),

  duplicates: (world, { count }) =>
    Effect.gen(function* () {
      const stream = streams[0]!
      const js = jetstream(world.connection)
      const { first_seq, last_seq } = (yield* query(() => world.jsm.streams.info(stream))).state
      const acks: Array<boolean> = []
      for (let i = 0; i < count; i++) {
        // Every other one recent and with its own id, for the duplicate window; the rest from anywhere, with a new id.
        const same = i % 2 === 0
        const seq = same ? last_seq - i : first_seq + Math.floor(((last_seq - first_seq) * i) / count)
        const message = yield* query(() => SetBack.at(world, stream, seq))
        if (message === null) continue
        const headers = natsHeaders()
        for (const [name, values] of message.header) {
          if (!name.startsWith("Nats-")) for (const value of values) headers.append(name, value)
        }
        const msgID = same ? message.header.get("Nats-Msg-Id") : nuid.next()
        const subject = message.subject.split(".").toSpliced(2, 1).join(".")
        acks.push((yield* query(() => js.publish(subject, message.data, { headers, msgID }))).duplicate)
      }
      const dropped = acks.filter(Boolean).length
      const stored = acks.length - dropped
      return stored > 0 && dropped > 0
        ? `${dropped} dropped by the window, ${stored} stored again`
        : yield* new NotFired({ why: `${dropped} dropped by the window, ${stored} stored again` })
    }),

  "jump-clock": (world, { by, host, ms }) =>
    onHost(world, host, (host) =>
      Effect.gen(function* () {
        const said = listen(host)
        const told = Date.now()
        host.tell({ clock: by })
        const jumped = yield* wait(
          "jump",
          Effect.sync(() => {
            const now = /clock (\d+)\n/.exec(said())?.[1]
            return now === undefined ? undefined : Number(now) - Date.now()
          })
        )
        // A host that is starved or frozen says it late.
        if (Math.abs(jumped - by) > 1_500 + Date.now() - told)
          return yield* new NotFired({ why: `its clock is off by ${jumped} ms` })
        yield* Effect.sleep(ms)
        return `its clock was off by ${jumped} ms`
      }).pipe(Effect.ensuring(Effect.sync(() => host.tell({ clock: 0 }))))
    ),

  poison: (world, { key, ms }) => {
    const tell = Effect.sync(() => {
      for (const { host } of world.slots) host?.tell({ poisoned: [...world.poisoned] })
    })
    return Effect.gen(function* () {
      const before = new Map(world.slots.map(({ host }) => [host, host?.output().length]))
      world.poisoned.add(key)
      yield* tell
      const threw = ({ host }: Slot) => host?.output().includes(`poisoned ${key}\n`, before.get(host))
      const slot = yield* wait(
        "throwing handler",
        Effect.sync(() => world.slots.find(threw))
      )
      yield* Effect.sleep(ms)
      return `${key} threw in host ${slot.nth}`
    }).pipe(
      Effect.ensuring(
        Effect.andThen(
          Effect.sync(() => world.poisoned.delete(key)),
          tell
        )
      ),
      world.alone.poison.withPermit
    )
  },

  "set-back-database": (world, { ms }) => SetBack.database(world, ms),
  starve: Strain.starve,
  "slow-db": Strain.slowDb,
  "clock-skew": Strain.clockSkew,
  wedge: Strain.wedge,
  "stream-full": Streams.full,
  "cluster-leader": Streams.clusterLeader
}

/** Postgres' processes that serve hosts; undefined while there are none, or it does not answer. */
const backends = ({ sql }: World): Effect.Effect<readonly [number, ...Array<number>] | undefined> =>
  Effect.tryPromise(
    () => sql<Array<{ pid: number }>>`select pid from pg_stat_activity
      where datname = current_database() and application_name like 'troupe%' order by pid`
  ).pipe(
    Effect.map(([first, ...rest]) =>
      first === undefined ? undefined : ([first.pid, ...rest.map(({ pid }) => pid)] as const)
    ),
    Effect.orElseSucceed(() => undefined)
  )
