import type { Partition } from "@troupe/actor/engine"
import { Codes, Reason } from "@troupe/contract"
import { Sql } from "@troupe/postgres"
import { Connection, Ownership } from "@troupe/postgres/internal"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { assign } from "./assign.ts"
import * as Complaints from "./Complaints.ts"
import { type Guard, NotLiving } from "./guard/Guard.ts"
import * as Losses from "./Losses.ts"

class StatementFailed extends Schema.TaggedError<StatementFailed>()("StatementFailed", { cause: Schema.Defect() }) {}

/** A consumer whose partitions the living hosts share. */
export interface Shared<R> {
  readonly id: number
  /** One for each partition, in order. */
  readonly partitions: ReadonlyArray<Partition.Progress>
  /**
   * From a take-over until the partition is lost; interrupted when it is to be given back. `setBack`: the database is known to
   * have been set back.
   */
  readonly run: (
    progress: Partition.Progress,
    taken: Ownership.Taken,
    setBack: boolean
  ) => Effect.Effect<never, unknown, R | Scope.Scope>
  /** Whether a partition that was just taken shows that the database was set back. */
  readonly isSetBack: (progress: Partition.Progress, taken: Ownership.Taken) => Effect.Effect<boolean, unknown, R>
  /** It can be run: until then its partitions are not taken. */
  fit: boolean
}

export interface Options<R> {
  readonly host: Ownership.Host
  /** Keeps this host among the living. */
  readonly guard: Guard
  /** Between heartbeats, in ms. */
  readonly heartbeat: number
  readonly databaseUrl: Redacted.Redacted
  readonly shared: ReadonlyArray<Shared<R>>
  /** Somebody enqueued something. */
  readonly onEnqueued: () => void
  /** The broker is there. A host that is without it for longer than its lease leaves its partitions to hosts that have it. */
  readonly connected: () => boolean
}

/** A host among the living. */
export interface Membership {
  /** What is the matter with it: it does not own what it should. */
  readonly out: () => string | undefined
  /** Partitions that nobody owns. */
  readonly orphans: () => ReadonlyArray<string>
  /** Look at once. */
  readonly wake: () => void
}

/** What is told of this host, and not of one of its partitions. */
const thisHost = "this host"

/** Between looks at who lives and who owns what, when nobody tells of a change. */
const interval = "200 millis"
/** How long a statement of the control connection may take, in ms. */
const patience = 5_000
/** How long, in ms, a partition that another host should have may be without an owner before it is told. */
const orphanedAfter = 10_000

/**
 * How long a partition has to show whether the database was set back, before it is asked again; for how long it is asked while
 * the broker is there, in ms; and how long what it shows holds for partitions that are taken later, in ms.
 */
const shown = { within: "2 seconds", again: "250 millis", asked: 30_000, for: 60_000 } as const

/** A partition that was just taken. */
interface Started<R> {
  readonly of: Shared<R>
  readonly progress: Partition.Progress
  readonly taken: Ownership.Taken
}

/**
 * Joins the living hosts, and owns its share of the partitions: looks who lives, gives back what is no longer its own,
 * takes what is free or was left by the dead. Without its lease it drops everything and joins anew. When the scope closes
 * it gives everything back, and leaves.
 */
export const make = <R>(options: Options<R>): Effect.Effect<Membership, never, R | Sql | Scope.Scope> =>
  Effect.gen(function* () {
    const { guard, host, shared } = options
    const { lease } = guard
    const names = new Map(shared.map(({ id, partitions }) => [id, partitions[0]!.consumer.name]))
    const sql = yield* Sql
    const hint = Latch.makeUnsafe(false)
    const wake = () => void hint.openUnsafe()
    guard.onOver = wake
    const complaints = Complaints.make()
    /** What runs here. */
    const sessions = new Map<Partition.Progress, { readonly fiber: Fiber.Fiber<void>; readonly token: string }>()
    let out: string | undefined = Codes.text("TRP0327", thisHost, "it has not joined yet")
    let orphans: ReadonlyArray<string> = []
    const end = { is: false }

    const within = <A>(run: () => Promise<A>) =>
      Effect.timeout(Effect.tryPromise({ try: run, catch: (cause) => new StatementFailed({ cause }) }), patience)
    const asked = <A>({ ask }: Connection.Connection, run: (sql: Sql["Service"]) => Promise<A>) =>
      Effect.tryPromise({ try: () => ask(run), catch: (cause) => new StatementFailed({ cause }) })
    const start = ({ of: { run }, progress, taken }: Started<R>, setBack: Deferred.Deferred<boolean>) =>
      Effect.gen(function* () {
        const running = Effect.flatMap(Deferred.await(setBack), (setBack) => run(progress, taken, setBack))
        const fiber = yield* Effect.scoped(running).pipe(
          Effect.catchCause((cause) => (Cause.hasInterruptsOnly(cause) ? Effect.void : Losses.lost(progress, cause))),
          Effect.annotateLogs({ consumer: progress.consumer.name, partition: progress.p }),
          Effect.forkDetach
        )
        sessions.set(progress, { fiber, token: taken.fence.token })
        progress.held = "here"
        // Not by the fiber itself: one that is interrupted before it has begun runs nothing, not even what it ensures.
        fiber.addObserver(() => {
          sessions.delete(progress)
          progress.held = undefined
          wake()
        })
      })

    /** What is taken from the dead is taken when their connections are gone: one could hold a lock on it. */
    const take = (of: Shared<R>, rows: ReadonlyArray<Ownership.Row>) =>
      Effect.gen(function* () {
        const dead = [...new Set(rows.flatMap((row) => (row.host === null || row.host === host.id ? [] : [row.host])))]
        if (dead.length > 0) {
          yield* within(() => Ownership.terminate(sql, dead)).pipe(
            Effect.repeat({ until: (left) => left === 0, schedule: Schedule.spaced("10 millis") }),
            Effect.timeout("1 second")
          )
        }
        const taken = yield* within(() =>
          Ownership.take(
            sql,
            of.id,
            rows.map(({ p }) => p),
            host
          )
        )
        return taken.map((one): Started<R> => ({ of, progress: of.partitions[one.fence.p]!, taken: one }))
      })

    /** A database is set back as a whole: what one partition shows, all that are taken with it or soon after have to know. */
    let setBackAt = Number.NEGATIVE_INFINITY
    /**
     * Sessions begin once it is known whether the database was set back. A stream that does not answer is asked again, as long as
     * the broker is away and for 30 s besides: no session could work without the broker, and one that began without knowing
     * would refuse commands whose deadlines no longer count.
     */
    const startAll = (all: ReadonlyArray<Started<R>>) =>
      Effect.gen(function* () {
        if (all.length === 0) return
        const setBack = Deferred.makeUnsafe<boolean>()
        for (const one of all) {
          one.progress.trouble = "it is not known yet whether the database was set back: its stream does not answer"
          yield* start(one, setBack)
        }
        const since = performance.now()
        const asks = (progress: Partition.Progress) =>
          sessions.has(progress) && (!options.connected() || performance.now() - since < shown.asked)
        yield* Effect.forEach(
          all,
          ({ of, progress, taken }) =>
            of.isSetBack(progress, taken).pipe(
              Effect.timeout(shown.within),
              Effect.retry({ while: () => asks(progress), schedule: Schedule.spaced(shown.again) }),
              Effect.map((shows) => {
                if (!shows) return
                setBackAt = performance.now()
                Deferred.doneUnsafe(setBack, Effect.succeed(true))
              }),
              // What cannot tell, for whatever reason, holds up nobody.
              Effect.catchCause(() => Effect.void)
            ),
          { concurrency: "unbounded", discard: true }
        ).pipe(
          Effect.andThen(
            Effect.sync(() => Deferred.doneUnsafe(setBack, Effect.succeed(performance.now() - setBackAt < shown.for)))
          ),
          Effect.forkDetach
        )
      })

    let connectedAt = performance.now()
    let able = true
    /**
     * Whether this host can work. All hosts lose a broker that ends at much the same time: each says so first, and gives up
     * what it has two heartbeats later, when nobody who cannot work either would take it.
     */
    const lookAtBroker = Effect.gen(function* () {
      const now = performance.now()
      if (options.connected()) connectedAt = now
      const without = now - connectedAt
      guard.able(without < host.lease)
      const was = able
      able = without < host.lease + 2 * options.heartbeat
      if (was && !able)
        yield* Effect.logWarning(
          Codes.text("TRP0326", thisHost, `it has no connection to NATS for longer than its lease of ${host.lease} ms`)
        )
      if (!was && able) yield* Effect.logInfo("this host can work again, and takes its share of the partitions")
    })

    const since = new Map<Partition.Progress, number>()
    /** Looks once, and does what follows. Answers whether anything is owned or runs here. */
    const look = (control: Connection.Connection) =>
      Effect.gen(function* () {
        const ids = shared.map(({ id }) => id)
        const view = yield* asked(control, (sql) => Ownership.look(sql, host.id, ids))
        const living = new Set(view.hosts.map(({ id }) => id))
        // By the clock of Postgres it is late: the next heartbeat comes in time, or the lease ends.
        if (!living.has(host.id)) return true
        yield* lookAtBroker
        const hosts = view.hosts.map((one) => (one.id === host.id ? { ...one, able } : one))
        const now = performance.now()
        const rows = Map.groupBy(view.partitions, ({ consumer }) => consumer)
        const wanted: Array<Effect.Effect<ReadonlyArray<Started<R>>, never, R>> = []
        const surplus: Array<Ownership.Row> = []
        const unowned: Array<string> = []
        for (const one of shared) {
          const candidates = hosts.filter(({ consumers }) => consumers.includes(one.id))
          const plan = assign(one.id, candidates, rows.get(one.id) ?? [])
          const free: Array<Ownership.Row> = []
          for (const row of rows.get(one.id) ?? []) {
            const progress = one.partitions[row.p]!
            const to = plan.get(row.p)
            const owner = row.host !== null && living.has(row.host) ? row.host : undefined
            progress.assigned = to === host.id
            const session = sessions.get(progress)
            if (session === undefined)
              progress.held = owner === undefined || owner === host.id ? undefined : "elsewhere"
            if (session !== undefined) {
              if (!progress.assigned || row.token !== session.token) session.fiber.interruptUnsafe()
            } else if (!progress.assigned) {
              if (owner === host.id) surplus.push(row)
            } else if (one.fit) {
              if (owner === undefined || owner === host.id) free.push(row)
              else progress.trouble = `host ${owner} has not given it back yet`
            }
            if (owner !== undefined || progress.assigned) since.delete(progress)
            else if (!since.has(progress)) since.set(progress, now)
            if (now - (since.get(progress) ?? now) > orphanedAfter) {
              const why =
                to === undefined ? `newer code, of contract ${row.contract}, had it` : `host ${to} does not take it`
              unowned.push(
                Codes.text("TRP0328", `${progress.consumer.name}, partition ${row.p}`, `nobody owns it, ${why}`)
              )
            }
          }
          if (free.length > 0) {
            const { name } = one.partitions[0]!.consumer
            const failed = (error: unknown) => {
              for (const { p } of free) one.partitions[p]!.trouble = `it cannot be taken: ${Reason.chain(error)}`
              return complaints.tell("TRP0328", name, error)
            }
            wanted.push(Effect.catch(take(one, free), (error) => Effect.as(failed(error), [])))
          }
        }
        orphans = unowned
        if (surplus.length > 0) yield* Effect.ignore(within(() => Ownership.release(sql, surplus)))
        yield* startAll((yield* Effect.all(wanted, { concurrency: "unbounded" })).flat())
        out = undefined
        return sessions.size > 0 || view.partitions.some((row) => row.host === host.id)
      })

    /** From joining until it leaves, or its lease is lost. */
    const tenure = Effect.gen(function* () {
      const control = yield* Connection.make({
        url: options.databaseUrl,
        applicationName: Ownership.applicationName(host.id),
        statementTimeout: patience,
        patience,
        onNotify: (channel) => (channel === Ownership.channels.enqueued ? options.onEnqueued() : wake())
      })
      yield* guard.join(host, names)
      complaints.settle("TRP0327", thisHost)
      yield* Effect.addFinalizer(() => Effect.sync(lease.end))
      // Before the lease is given up, and before this host joins again.
      yield* Effect.addFinalizer(() => Fiber.interruptAll([...sessions.values()].map(({ fiber }) => fiber)))
      let retired = false
      let heard = -1
      while (lease.held()) {
        hint.closeUnsafe()
        if (control.losses() !== heard) {
          // Of the connection that is asked now. What was told between two of them is found by looking.
          const losses = control.losses()
          if (yield* Effect.isSuccess(asked(control, Ownership.listen))) heard = losses
        }
        if (end.is && !retired)
          retired = yield* Effect.isSuccess(asked(control, (sql) => Ownership.retire(sql, host.id)))
        const busy = yield* Effect.catch(look(control), (error) =>
          Effect.as(complaints.tell("TRP0328", "all that this host looks after", error), true)
        )
        // A row that stays is forgotten an hour later.
        if (retired && !busy) return yield* Effect.ignore(asked(control, (sql) => Ownership.leave(sql, host.id)))
        yield* Effect.timeoutOption(hint.await, interval)
      }
      return yield* new NotLiving({ why: guard.why() ?? "its lease is over" })
    })

    const membership = Effect.gen(function* () {
      while (!end.is) {
        const exit = yield* Effect.exit(Effect.scoped(tenure))
        if (exit._tag === "Success") return
        out = Complaints.coded("TRP0327", thisHost, Reason.chain(exit.cause))
        yield* complaints.tell("TRP0327", thisHost, exit.cause)
        hint.closeUnsafe()
        yield* Effect.timeoutOption(hint.await, interval)
      }
    })
    // In a fiber that nobody interrupts: to give everything back takes time, and has its limit in the drain.
    yield* Effect.acquireRelease(Effect.forkDetach(membership), (fiber) =>
      Effect.suspend(() => {
        end.is = true
        wake()
        return Fiber.await(fiber)
      })
    )
    return { out: () => out, orphans: () => orphans, wake }
  })
