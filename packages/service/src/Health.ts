import type { Partition } from "@troupe/actor/engine"
import { Nats, Publisher } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

/** Health is progress: a process that answers but whose cursors stand still while messages wait is not alive. */
export interface Health {
  /** All partitions are owned and read, and both servers answer. */
  readonly ready: boolean
  /** No partition has waiting messages and a cursor that has not moved for 30 s. */
  readonly live: boolean
  readonly consumers: ReadonlyArray<ConsumerHealth>
  readonly trouble: ReadonlyArray<string>
}
export interface ConsumerHealth {
  readonly name: string
  readonly partitions: number
  readonly ready: number
  /** Partitions with messages that are not handled yet. */
  readonly behind: number
}

/** How long a cursor may stand still while messages wait. */
const patience = 30_000

interface Watched {
  readonly progress: Partition.Progress
  /** The cursors as they were last seen, and since when they stand there with messages waiting. */
  seen: string
  since: number | undefined
}

/** Compares, every 5 s, each partition's cursor with what its streams hold. */
export const watch = (
  partitions: ReadonlyArray<Partition.Progress>
): Effect.Effect<Effect.Effect<Health>, never, Nats | Sql | Scope.Scope> =>
  Effect.gen(function* () {
    const { connection } = yield* Nats
    const sql = yield* Sql
    const watched = partitions.map((progress): Watched => ({ progress, seen: "", since: undefined }))
    let database: string | undefined
    const look = Effect.gen(function* () {
      database = yield* Effect.tryPromise(async () => void (await sql`select 1`)).pipe(
        Effect.timeout("5 seconds"),
        Effect.match({ onSuccess: () => undefined, onFailure: (error) => `PostgreSQL: ${String(error.cause ?? error)}` })
      )
      const now = yield* millis
      for (const one of watched) {
        const seen = JSON.stringify(one.progress.cursors)
        const behind = yield* isBehind(one.progress)
        if (!behind || seen !== one.seen) one.since = behind ? now : undefined
        one.seen = seen
      }
    }).pipe(Effect.ignore)
    yield* look.pipe(Effect.repeat(Schedule.spaced("5 seconds")), Effect.forkScoped)
    return Effect.map(millis, (now) => {
      const stalled = watched.filter(({ since }) => since !== undefined && now - since > patience)
      const waiting = partitions.filter(({ ready }) => !ready)
      const trouble = [
        ...(connection.isClosed() || connection.info === undefined ? ["NATS: not connected"] : []),
        ...(database === undefined ? [] : [database]),
        ...new Set(waiting.map(({ consumer, trouble }) => `${consumer.name}: ${trouble}`)),
        ...stalled.map(({ progress }) => `${progress.consumer.name}, partition ${progress.p}: its cursor stands still`)
      ]
      const consumers = [...Map.groupBy(watched, ({ progress }) => progress.consumer.name)].map(([name, all]) => ({
        name,
        partitions: all.length,
        ready: all.filter(({ progress }) => progress.ready).length,
        behind: all.filter(({ since }) => since !== undefined).length
      }))
      return {
        ready: waiting.length === 0 && database === undefined && !connection.isClosed(),
        live: stalled.length === 0,
        consumers,
        trouble: trouble.slice(0, 20)
      }
    })
  })

const millis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1_000_000n))

const isBehind = ({ consumer, cursors, p }: Partition.Progress) =>
  Effect.gen(function* () {
    for (const { filter, stream } of consumer.sources) {
      const last = yield* Publisher.lastOf(stream, filter(p))
      if (last !== undefined && last.sequence > (cursors[stream]?.seq ?? 0)) return true
    }
    return false
  })
