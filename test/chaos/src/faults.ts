import { cpSync, rmSync } from "node:fs"
import { join } from "node:path"
import { jetstream } from "@nats-io/jetstream"
import { headers as natsHeaders, nuid } from "@nats-io/nats-core"
import type { HostProcess } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { name } from "./bank.ts"
import type { Link } from "@troupe/test-world/link"
import * as Processes from "./processes.ts"
import type { Fault, FaultOf, Kind } from "./schedule.ts"
import type { Slot, World } from "./world.ts"

/** A fault that could not be shown to have struck. */
export class NotFired extends Schema.TaggedError<NotFired>()("NotFired", { why: Schema.String }) {
  override get message(): string {
    return this.why
  }
}

/** Lets a fault strike and heals it; answers the evidence that it fired. */
export const strike = (world: World, fault: Fault): Effect.Effect<string, unknown> =>
  (faults[fault.kind] as (world: World, fault: Fault) => Effect.Effect<string, unknown>)(world, fault)

/** Looks every 20 ms until something is there, 2 minutes at most. */
const wait = <A>(what: string, look: Effect.Effect<A | undefined>): Effect.Effect<A, NotFired> =>
  look.pipe(
    Effect.repeat({ until: (seen) => seen !== undefined, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOrElse({ duration: "2 minutes", orElse: () => Effect.fail(new NotFired({ why: `no ${what}` })) })
  ) as Effect.Effect<A, NotFired>

const onHost = <A, E>(
  world: World,
  nth: number,
  use: (host: HostProcess, slot: Slot) => Effect.Effect<A, E>
): Effect.Effect<A, E | NotFired> => {
  const slot = world.slots[nth]!
  return slot.alone.withPermit(
    Effect.flatMap(
      wait(
        "host",
        Effect.sync(() => slot.host)
      ),
      (host) => use(host, slot)
    )
  )
}

const onLink = <A, E>(
  world: World,
  { host, server }: { readonly host: number; readonly server: "nats" | "postgres" },
  use: (link: Link) => Effect.Effect<A, E>
): Effect.Effect<A, E | NotFired> => {
  const slot = world.slots[host]!
  const link = slot.links[server]
  const connected = wait(
    "connection",
    Effect.sync(() => (link.connections() > 0 ? true : undefined))
  )
  return slot.alone.withPermit(
    Effect.andThen(connected, use(link)).pipe(Effect.ensuring(Effect.sync(() => link.mend())))
  )
}

/** A query beside the hosts' links, again until Postgres answers. */
const query = <A>(run: () => Promise<A>): Effect.Effect<A> =>
  Effect.tryPromise(run).pipe(Effect.retry(Schedule.spaced("100 millis")), Effect.orDie)

const hindered = (link: Link, ms: number, hinder: () => void): Effect.Effect<string, NotFired> =>
  Effect.gen(function* () {
    const before = link.hindered()
    hinder()
    yield* Effect.sleep(ms)
    const chunks = link.hindered() - before
    return chunks > 0 ? `${chunks} chunks held back` : yield* new NotFired({ why: "nothing came over the link" })
  })

const streams = [`CMD_${name}`, `EVT_${name}`]

const faults: { readonly [K in Kind]: (world: World, fault: FaultOf<K>) => Effect.Effect<string, unknown> } = {
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
    onHost(world, host, (host) =>
      Effect.gen(function* () {
        host.kill("SIGSTOP")
        const stopped = () => Processes.all().find(({ pid, state }) => pid === host.pid && state.startsWith("T"))
        yield* wait("stopped process", Effect.sync(stopped))
        yield* Effect.sleep(ms)
        return `process ${host.pid} stood still for ${ms} ms`
      }).pipe(Effect.ensuring(Effect.sync(() => host.kill("SIGCONT"))))
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
        const { pid } = world.nats
        yield* world.nats.kill("SIGKILL")
        yield* Processes.gone([pid])
        yield* Effect.sleep(ms)
        yield* world.nats.restart
        return `process ${pid} is gone, ${world.nats.pid} came`
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
        const children = Processes.all().flatMap((one) => (one.parent === pid ? [one.pid] : []))
        yield* world.postgres.kill("SIGKILL")
        yield* Processes.gone([pid, ...children])
        yield* Effect.sleep(ms)
        yield* world.postgres.restart
        return `process ${pid} is gone with ${children.length} children`
      })
    ),

  "terminate-backends": (world) =>
    world.alone.postgres.withPermit(
      Effect.gen(function* () {
        const pids = yield* wait("backend", backends(world))
        const rows = yield* query(
          () => world.sql`select pg_terminate_backend(pid) as ended from unnest(${pids}::int[]) pid`
        )
        const ended = rows.filter((row) => row["ended"] === true).length
        return ended > 0 ? `${ended} backends ended` : yield* new NotFired({ why: "none was ended" })
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

  "set-back": (world, { ms }) =>
    Effect.gen(function* () {
      const copy = join(world.dir, `store-${nuid.next()}`)
      const down = (files: () => void) =>
        Effect.andThen(world.nats.kill("SIGKILL"), Effect.andThen(Effect.sync(files), world.nats.restart))
      const copied = yield* world.alone.nats.withPermit(
        Effect.andThen(
          down(() => cpSync(world.nats.store, copy, { recursive: true })),
          lastOf(world)
        )
      )
      yield* Effect.sleep(ms)
      return yield* world.alone.nats.withPermit(
        Effect.gen(function* () {
          // Somewhat newer than the copy, or there is nothing to lose.
          const before = yield* wait(
            "newer message in both streams",
            Effect.map(lastOf(world), (last) =>
              last.every(({ seq }, i) => seq > copied[i]!.seq + 10) ? last : undefined
            )
          )
          yield* down(() => {
            rmSync(world.nats.store, { recursive: true })
            cpSync(copy, world.nats.store, { recursive: true })
          })
          const lost = yield* Effect.forEach(before, ({ id, seq }, i) =>
            query(async () => ((await at(world, streams[i]!, seq))?.header.get("ce-id") !== id ? 1 : 0))
          )
          return lost.every((one) => one === 1)
            ? before.map(({ seq }, i) => `${streams[i]} from ${seq} back to about ${copied[i]!.seq}`).join(", ")
            : yield* new NotFired({ why: "the messages are still there" })
        })
      )
    }),

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
        const message = yield* query(() => at(world, stream, seq))
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
        host.tell({ clock: by })
        const jumped = yield* wait(
          "jump",
          Effect.sync(() => {
            const now = /clock (\d+)\n/.exec(said())?.[1]
            return now === undefined ? undefined : Number(now) - Date.now()
          })
        )
        if (Math.abs(jumped - by) > 1_500) return yield* new NotFired({ why: `its clock is off by ${jumped} ms` })
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
  }
}

/** What a host says from now on. */
const listen = (host: HostProcess): (() => string) => {
  const before = host.output().length
  return () => host.output().slice(before)
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

const at = (world: World, stream: string, seq: number) => world.jsm.streams.getMessage(stream, { seq })

/** The last sequence of both streams, and which message is there. */
const lastOf = (world: World) =>
  query(() =>
    Promise.all(
      streams.map(async (stream) => {
        const seq = (await world.jsm.streams.info(stream)).state.last_seq
        return { seq, id: (await at(world, stream, seq))?.header.get("ce-id") }
      })
    )
  )
