import { Subject } from "@troupe/contract"
import type { Nats } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import type { Commit } from "@troupe/postgres/internal"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type Destination, type Origin, run } from "./Destination.ts"

/** Publishes what one partition of one consumer has committed to its outbox, for each destination stream in order. */
export interface Relay {
  /**
   * What was committed: its outbox rows, in order, are published from memory, and what memory cannot hold is read from
   * the table; its watermarks are written.
   */
  committed(work: Pick<Commit.Work, "outbox" | "more">): void
  /** How far each destination has come beyond what is written: for the next commit. */
  watermarks(): ReadonlyArray<Commit.WatermarkRow>
}

/**
 * Starts the relay of a partition that was just taken: what the owner before left unpublished goes first. It ends with
 * the scope; what it has not published then, the next owner does.
 */
export const make = (origin: Origin): Effect.Effect<Relay, unknown, Nats | Sql | Scope.Scope> =>
  Effect.gen(function* () {
    const own = Subject.stream("evt", origin.service)
    const destinations = new Map<string, Destination>()
    const fork = yield* FiberSet.makeRuntime<Nats | Sql>()
    const to = (stream: string): Destination => {
      const known = destinations.get(stream)
      if (known !== undefined) return known
      const lane = stream === own ? origin.lane : undefined
      const started = run(origin, stream, lane)
      destinations.set(stream, started.destination)
      fork(started.loop)
      return started.destination
    }
    const sql = yield* Sql
    // Its own lane is looked at in any case: the broker may have lost what it once acknowledged.
    const left = yield* Effect.tryPromise(
      () => sql<Array<{ stream: string }>>`
        select o.stream from troupe.outbox o
          left join troupe.watermark w on w.consumer = o.consumer and w.p = o.p and w.stream = o.stream
         where o.consumer = ${origin.fence.consumer} and o.p = ${origin.fence.p}
           and (o.pos > coalesce(w.pos, 0) or o.stream = ${origin.lane === undefined ? "" : own})
         group by o.stream`
    )
    for (const { stream } of left) to(stream)
    const watermarks = () => [...destinations.values()].flatMap((destination) => destination.watermark() ?? [])
    const written = (rows: ReadonlyArray<Commit.WatermarkRow>) => {
      for (const { pos, stream } of rows) destinations.get(stream)?.written(pos)
    }
    yield* Effect.forkScoped(writeWhenIdle(origin, watermarks, written))
    return {
      committed: (work) => {
        written(work.more.watermarks ?? [])
        for (const row of work.outbox) to(row.stream).offer(row)
      },
      watermarks
    }
  })

/** A partition that commits nothing for a second writes its watermarks by themselves. */
const writeWhenIdle = (
  origin: Origin,
  watermarks: () => ReadonlyArray<Commit.WatermarkRow>,
  written: (rows: ReadonlyArray<Commit.WatermarkRow>) => void
) =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const rows = watermarks()
    if (rows.length === 0) return
    const [answer] = yield* Effect.tryPromise(
      () => sql`select troupe.watermark_v1(${origin.fence.consumer}, ${origin.fence.p}, ${origin.fence.token}::uuid,
        ${rows.map((row) => row.stream)}::text[], ${rows.map((row) => row.pos)}::bigint[],
        ${rows.map((row) => row.sequence)}::bigint[], ${rows.map((row) => row.created)}::text[]) as mine`
    )
    if (answer?.["mine"] === true) written(rows)
  }).pipe(
    // It is written with the next commit, or in a second.
    Effect.catchCause((cause) => Effect.logDebug("could not write watermarks", Cause.squash(cause))),
    Effect.repeat(Schedule.spaced("1 second"))
  )
