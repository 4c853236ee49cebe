import { Reason } from "@troupe/contract"
import type { Partition } from "@troupe/actor/engine"
import { Sql } from "@troupe/postgres"
import { Connection, Lease, Ownership } from "@troupe/postgres/internal"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { assign } from "./assign.ts"
import * as Losses from "./Losses.ts"

/** A consumer whose partitions the living hosts share. */
export interface Shared<R> {
  readonly id: number
  /** One for each partition, in order. */
  readonly partitions: ReadonlyArray<Partition.Progress>
  /** From a take-over until the partition is lost; interrupted when it is to be given back. */
  readonly run: (progress: Partition.Progress, taken: Ownership.Taken) => Effect.Effect<never, unknown, R | Scope.Scope>
  /** It can be run: until then its partitions are not taken. */
  fit: boolean
}

export interface Options<R> {
  readonly host: Ownership.Host
  readonly lease: Lease.Renewable
  /** Between heartbeats, in ms. */
  readonly heartbeat: number
  readonly databaseUrl: Redacted.Redacted
  readonly shared: ReadonlyArray<Shared<R>>
  /** Somebody enqueued something. */
  readonly onEnqueued: () => void
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

/** Between looks at who lives and who owns what, when nobody tells of a change. */
const interval = "200 millis"
/** How long, in ms, a partition that another host should have may be without an owner before it is told. */
const patience = 10_000

/**
 * Joins the living hosts, and owns its share of the partitions: looks who lives, gives back what is no longer its own,
 * takes what is free or was left by the dead. Without its lease it drops everything and joins anew. When the scope closes
 * it gives everything back, and leaves.
 */
export const make = <R>(options: Options<R>): Effect.Effect<Membership, never, R | Sql | Scope.Scope> =>
  Effect.gen(function* () {
    const { host, lease, shared } = options
    const sql = yield* Sql
    const hint = Latch.makeUnsafe(false)
    const wake = () => void hint.openUnsafe()
    /** What runs here. */
    const sessions = new Map<Partition.Progress, { readonly fiber: Fiber.Fiber<void>; readonly token: string }>()
    let out: string | undefined = "it has not joined the living hosts yet"
    let orphans: ReadonlyArray<string> = []
    const end = { is: false }

    const within = <A>(run: () => Promise<A>) => Effect.timeout(Effect.tryPromise(run), host.lease)
    const start = ({ run }: Shared<R>, progress: Partition.Progress, taken: Ownership.Taken) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.scoped(run(progress, taken)).pipe(
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
        for (const one of taken) yield* start(of, of.partitions[one.fence.p]!, one)
      })

    const since = new Map<Partition.Progress, number>()
    /** Looks once, and does what follows. Answers whether anything is owned or runs here. */
    const look = (control: Connection.Connection) =>
      Effect.gen(function* () {
        const ids = shared.map(({ id }) => id)
        const view = yield* within(() => Ownership.look(control.sql(), host.id, ids))
        const living = new Set(view.hosts.map(({ id }) => id))
        // By the clock of Postgres it is late: the next heartbeat comes in time, or the lease ends.
        if (!living.has(host.id)) return true
        const now = performance.now()
        const rows = Map.groupBy(view.partitions, ({ consumer }) => consumer)
        const wanted: Array<Effect.Effect<void, never, R>> = []
        const surplus: Array<Ownership.Row> = []
        const unowned: Array<string> = []
        for (const one of shared) {
          const candidates = view.hosts.filter(({ consumers }) => consumers.includes(one.id))
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
            if (now - (since.get(progress) ?? now) > patience) {
              const why =
                to === undefined ? `newer code, of contract ${row.contract}, had it` : `host ${to} does not take it`
              unowned.push(`${progress.consumer.name}, partition ${row.p}: nobody owns it, ${why}`)
            }
          }
          if (free.length > 0) {
            const failed = (error: unknown) => {
              for (const { p } of free) one.partitions[p]!.trouble = `it cannot be taken: ${Reason.chain(error)}`
            }
            wanted.push(Effect.catch(take(one, free), (error) => Effect.sync(() => failed(error))))
          }
        }
        orphans = unowned
        if (surplus.length > 0) yield* Effect.ignore(within(() => Ownership.release(sql, surplus)))
        yield* Effect.all(wanted, { concurrency: "unbounded", discard: true })
        out = undefined
        return sessions.size > 0 || view.partitions.some((row) => row.host === host.id)
      })

    /** From joining until it leaves, or its lease is lost. */
    const tenure = Effect.gen(function* () {
      const control = yield* Connection.make({
        url: options.databaseUrl,
        applicationName: Ownership.applicationName(host.id),
        statementTimeout: host.lease,
        onNotify: (channel) => (channel === Ownership.channels.enqueued ? options.onEnqueued() : wake())
      })
      const sent = performance.now()
      yield* within(() => Ownership.join(control.sql(), host))
      lease.begin(sent, () => control.losses() > 0)
      yield* Effect.addFinalizer(() => Effect.sync(lease.end))
      yield* Effect.forkScoped(beating(control))
      // Before the heart stops, and before anybody joins anew.
      yield* Effect.addFinalizer(() => Fiber.interruptAll([...sessions.values()].map(({ fiber }) => fiber)))
      let retired = false
      while (lease.held()) {
        hint.closeUnsafe()
        if (end.is && !retired) {
          yield* within(() => Ownership.retire(control.sql(), host.id))
          retired = true
        }
        const busy = yield* Effect.catch(look(control), (error) =>
          Effect.as(Effect.logDebug("could not look at who owns what", Reason.chain(error)), true)
        )
        if (retired && !busy) return yield* within(() => Ownership.leave(control.sql(), host.id))
        yield* Effect.timeoutOption(hint.await, interval)
      }
      return yield* new Lease.LeaseLost()
    })
    const beating = (control: Connection.Connection) =>
      Effect.gen(function* () {
        const sent = performance.now()
        if (yield* within(() => Ownership.beat(control.sql(), host.id))) lease.renew(sent)
        else lease.end()
      }).pipe(
        // Either the next one comes in time, or the lease ends.
        Effect.ignore,
        Effect.repeat(Schedule.spaced(options.heartbeat))
      )

    const membership = Effect.gen(function* () {
      while (!end.is) {
        const exit = yield* Effect.exit(Effect.scoped(tenure))
        if (exit._tag === "Success") return
        const why = `it is not among the living hosts: ${Reason.chain(exit.cause)}`
        if (why !== out) yield* Effect.logWarning(`${why}; it joins anew`)
        out = why
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
