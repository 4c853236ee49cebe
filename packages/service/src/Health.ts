import { Codes } from "@troupe/contract"
import { DeadLetters, type Partition } from "@troupe/actor/engine"
import { Nats, Publisher } from "@troupe/nats"
import type { Sql } from "@troupe/postgres"
import * as Clock from "effect/Clock"
import type * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Membership } from "./Membership.ts"
import * as Outboxes from "./Outboxes.ts"
import * as Servers from "./Servers.ts"

/** Health is progress: a process that answers but whose cursors stand still while messages wait is not alive. */
export interface Health {
  /**
   * It is one of the living hosts, owns and reads all partitions that are assigned to it, both servers answer, and it is
   * not about to end. Partitions of other hosts are not its own trouble.
   */
  readonly ready: boolean
  /**
   * No partition of its own has waiting messages and a cursor that has not moved for 30 s (one that another living host has
   * not given back yet is that host's, until it is), no outbox has own events waiting and a
   * watermark that has not moved for as long (another service that is not there is trouble, but not this one's end), and the connection to NATS is not closed for good. Nobody is judged while
   * NATS or PostgreSQL is away, no partition while its stream does not answer or its edge is away, and no outbox while any
   * stream does not answer: a restart would not bring them back.
   */
  readonly live: boolean
  readonly consumers: ReadonlyArray<ConsumerHealth>
  readonly trouble: ReadonlyArray<string>
}
export interface ConsumerHealth {
  readonly name: string
  /** Those that are assigned to this host. */
  readonly partitions: number
  readonly ready: number
  /** Partitions with messages that are not handled yet. */
  readonly behind: number
}

export interface Options {
  readonly partitions: ReadonlyArray<Partition.Progress>
  /** None until the host has begun to join. */
  readonly membership: () => Pick<Membership, "out" | "orphans"> | undefined
  readonly where: Servers.Where
  /** How long, in ms, cursors and watermarks may stand still while messages wait. Default 30 s. */
  readonly patience?: number
  /** Between looks. Default 5 s. */
  readonly interval?: Duration.Input
}

/** How long the servers have to answer, all partitions together. */
const bound = "5 seconds"
/** How long one stream has. */
const patient = "2 seconds"

/** Something that should move while there is work, as it was last seen, and since when (ms) it stands there with work. */
interface Watched {
  seen: string
  since: number | undefined
}

interface Cursor extends Watched {
  readonly progress: Partition.Progress
}
interface Outbox extends Watched, Outboxes.Waiting {
  readonly name: string
}

const look = (one: Watched, seen: string, works: boolean, now: number): void => {
  if (!works) one.since = undefined
  else if (seen !== one.seen || one.since === undefined) one.since = now
  one.seen = seen
}

/** Compares, every 5 s, each partition's cursor with what its streams hold, and each watermark with its outbox. */
export const watch = (options: Options): Effect.Effect<Effect.Effect<Health>, never, Nats | Sql | Scope.Scope> =>
  Effect.gen(function* () {
    const { partitions, patience = 30_000, where } = options
    const nats = yield* Nats
    const gone = () => Servers.natsAway(nats, where.nats)
    const cursors = partitions.map((progress): Cursor => ({ progress, seen: "", since: undefined }))
    const outboxes = new Map<string, Outbox>()
    const own = (consumer: number, p: number) =>
      partitions.find((progress) => isOwn(progress) && progress.consumer.id === consumer && progress.p === p)
    let database: string | undefined
    /** Streams that did not answer when they were last asked: JetStream is off, or has no leader for them. */
    let silent: ReadonlyArray<string> = []

    const lookAtOutboxes = Effect.gen(function* () {
      const found = yield* Outboxes.waiting.pipe(Effect.timeout(bound), Effect.result)
      database = found._tag === "Success" ? undefined : Servers.databaseAway(where.database, found.failure)
      const judged = gone() === undefined && silent.length === 0
      const rows = found._tag === "Success" && judged ? found.success : []
      const before = new Map(outboxes)
      outboxes.clear()
      const now = yield* millis
      for (const row of rows) {
        const progress = own(row.consumer, row.p)
        if (progress === undefined) continue
        const key = `${row.consumer} ${row.p} ${row.stream}`
        const outbox = before.get(key) ?? { ...row, name: progress.consumer.name, seen: "", since: undefined }
        look(outbox, String(row.watermark), true, now)
        outboxes.set(key, outbox)
      }
    })
    const lookAtCursors = Effect.gen(function* () {
      // Who is not asked in time is not judged.
      const answers = cursors.map((): Answer => ({ behind: false, silent: [] }))
      if (gone() === undefined) {
        yield* Effect.forEach(
          cursors,
          ({ progress }, i) =>
            isOwn(progress) ? Effect.map(ask(progress), (answer) => (answers[i] = answer)) : Effect.void,
          { concurrency: 16, discard: true }
        ).pipe(Effect.timeoutOption(bound))
        silent = [...new Set(answers.flatMap((answer) => answer.silent))]
      } else silent = []
      const judged = gone() === undefined && database === undefined
      const now = yield* millis
      for (const [i, one] of cursors.entries()) {
        const { away, cursors } = one.progress
        look(one, JSON.stringify(cursors), judged && isOwn(one.progress) && !away && answers[i]!.behind, now)
      }
    })
    yield* Effect.all([lookAtOutboxes, lookAtCursors], { concurrency: 2, discard: true }).pipe(
      Effect.repeat(Schedule.spaced(options.interval ?? "5 seconds")),
      Effect.forkScoped
    )

    return Effect.map(millis, (now) => {
      const stalled = (one: Watched) => one.since !== undefined && now - one.since > patience
      const still = cursors.filter(stalled)
      const stuck = [...outboxes.values()].filter(stalled)
      const assigned = cursors.filter(({ progress }) => progress.assigned)
      const waiting = assigned.filter(({ progress }) => !progress.ready)
      const membership = options.membership()
      const out = membership === undefined ? Codes.text("TRP0327", "this host", "it starts") : membership.out()
      const away = gone()
      const trouble = new Set([
        ...(away === undefined ? [] : [away]),
        ...(database === undefined ? [] : [database]),
        ...(out === undefined ? [] : [out]),
        ...silent.map((stream) => Codes.text("TRP0429", stream, "it does not answer")),
        ...waiting.map(({ progress: { consumer, trouble } }) => Codes.text("TRP0328", consumer.name, trouble ?? "")),
        ...assigned.flatMap(({ progress }) => progress.notice ?? []),
        ...[...Map.groupBy(partitions, ({ consumer }) => consumer.name)].flatMap(
          ([name, all]) => DeadLetters.complaint(name, all) ?? []
        ),
        ...stuck.map(({ name, stream }) => Codes.text("TRP0328", name, `its outbox to ${stream} does not move`)),
        ...still.map(({ progress: { consumer, p } }) =>
          Codes.text("TRP0328", `${consumer.name}, partition ${p}`, "its cursor stands still")
        ),
        ...(membership?.orphans() ?? [])
      ])
      const consumers = [...Map.groupBy(assigned, ({ progress }) => progress.consumer.name)].map(([name, all]) => ({
        name,
        partitions: all.length,
        ready: all.filter(({ progress }) => progress.ready).length,
        behind: all.filter(({ progress, since }) => progress.away || since !== undefined).length
      }))
      return {
        ready: [...waiting, ...silent].length === 0 && [out, database, away].every((why) => why === undefined),
        live: still.length === 0 && !stuck.some(({ stream }) => isOfOwnEvents(stream)) && !Servers.isClosed(nats),
        consumers,
        trouble: [...trouble].slice(0, 20)
      }
    })
  })

const millis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1_000_000n))

/** A service emits into its own stream of events only; commands go to other services'. */
const isOfOwnEvents = (stream: string): boolean => stream.startsWith("EVT_")

/** Whoever has a partition answers for it until it is given back, and then the host that it is assigned to. */
const isOwn = ({ assigned, held }: Partition.Progress): boolean => held === "here" || (assigned && held !== "elsewhere")

interface Answer {
  /** A stream has more than the cursor says. */
  readonly behind: boolean
  readonly silent: ReadonlyArray<string>
}

/**
 * Compares the cursors with the streams. A stream that is not there counts as more, unless the partition waits for it: a
 * service that was never run is no reason to start this one anew.
 */
const ask = ({ consumer, cursors, p, ready }: Partition.Progress): Effect.Effect<Answer, never, Nats> =>
  Effect.gen(function* () {
    const silent: Array<string> = []
    let behind = false
    for (const { filter, stream } of consumer.sources) {
      const last = yield* Publisher.lastOf(stream, filter(p)).pipe(Effect.timeout(patient), Effect.result)
      if (last._tag === "Success") behind ||= (last.success?.sequence ?? 0) > (cursors[stream]?.seq ?? 0)
      else if (isSilent(last.failure)) silent.push(stream)
      else behind ||= ready
    }
    return { behind: behind && silent.length === 0, silent }
  })

/** `err_code` of JetStream: temporarily unavailable, not enabled for the account or at all, stream offline. */
const unavailable: ReadonlySet<number> = new Set([10_008, 10_039, 10_076, 10_118])

const isSilent = (error: Publisher.PublishError | Cause.TimeoutError): boolean =>
  error._tag === "TimeoutError" || error.reason._tag === "Unanswered" || unavailable.has(error.reason.code)
