import { Reason, Subject } from "@troupe/contract"
import { type Nats, onReconnect } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import { type Commit, Lease } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type Destination, type Origin, run } from "./Destination.ts"
import * as Kept from "./Kept.ts"

/** Publishes what one partition of one consumer has committed to its outbox, for each destination stream in order. */
export interface Relay {
  /**
   * What was committed: its outbox rows, in order, are published from memory, and what memory cannot hold is read from
   * the table; its watermarks are written.
   */
  committed(work: Pick<Commit.Work, "outbox" | "more">): void
  /** How far each destination has come beyond what is written: for the next commit. */
  watermarks(): ReadonlyArray<Commit.WatermarkRow>
  /**
   * Positions that wait to be published: of the consumer's own events, or of another destination that takes messages and
   * has more. What goes to a stream that is down does not count: it waits in the table, and stops nothing else.
   */
  backlog(): number
  /** Waits while the backlog is long: whoever commits more would only make it longer. */
  readonly room: Effect.Effect<void>
}

/** Positions. */
const longBacklog = 10_000

/**
 * Starts the relay of a partition that was just taken: what the owner before left unpublished goes first. It ends with
 * the scope; what it has not published then, the next owner does. Postgres must have given out
 * every position that the lane has: rows with one of these would be taken for published.
 */
export const make = (origin: Origin): Effect.Effect<Relay, unknown, Nats | Sql | Scope.Scope> =>
  Effect.gen(function* () {
    const own = Subject.stream("evt", origin.service)
    const destinations = new Map<string, Destination>()
    const written = (rows: ReadonlyArray<Commit.WatermarkRow>) => {
      for (const row of rows) destinations.get(row.stream)?.written(row)
    }
    const all = (which: "ahead" | "watermark") => () =>
      [...destinations.values()].flatMap((destination) => destination[which]() ?? [])
    // When nothing is published any more: the next owner publishes again what is not written. A host without its lease
    // need not ask: it may have lost Postgres.
    yield* Effect.addFinalizer(() =>
      Effect.ignore(Effect.andThen(Lease.check, write(origin, all("watermark"), written)))
    )
    const fork = yield* FiberSet.makeRuntime<Nats | Sql>()
    const to = (stream: string, newest: number): Destination => {
      const known = destinations.get(stream)
      if (known !== undefined) return known
      const lane = stream === own ? origin.lane : undefined
      const started = run(origin, stream, lane, newest)
      destinations.set(stream, started.destination)
      fork(started.loop)
      return started.destination
    }
    // All that rows are kept for, also those that have everything: the broker may have lost what it once acknowledged.
    for (const { newest, stream } of yield* Kept.destinations(origin)) to(stream, newest)
    yield* onReconnect(() => {
      for (const destination of destinations.values()) destination.locate()
    })
    yield* Effect.forkScoped(Effect.repeat(write(origin, all("watermark"), written), Schedule.spaced("1 second")))
    const backlog = () => {
      let most = 0
      for (const [stream, destination] of destinations)
        if (stream === own || destination.takes()) most = Math.max(most, destination.backlog())
      return most
    }
    const room: Effect.Effect<void> = Effect.suspend(() =>
      backlog() <= longBacklog ? Effect.void : Effect.andThen(Effect.sleep("10 millis"), room)
    )
    return {
      committed: (work) => {
        written(work.more.watermarks ?? [])
        for (const row of work.outbox) to(row.stream, 0).offer(row)
      },
      watermarks: all("ahead"),
      backlog,
      room
    }
  })

/** Writes watermarks by themselves: for a partition that commits nothing for a second, or ends. */
const write = (
  origin: Origin,
  watermarks: () => ReadonlyArray<Commit.WatermarkRow>,
  written: (rows: ReadonlyArray<Commit.WatermarkRow>) => void
) =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const rows = watermarks()
    if (rows.length === 0) return
    const [answer] = yield* Effect.tryPromise(
      () => sql`select troupe.watermark_v2(${origin.fence.consumer}, ${origin.fence.p}, ${origin.fence.token}::uuid,
        ${rows.map((row) => row.stream)}::text[], ${rows.map((row) => row.pos)}::bigint[],
        ${rows.map((row) => row.sequence)}::bigint[], ${rows.map((row) => row.created)}::text[]) as mine`
    )
    if (answer?.["mine"] === true) written(rows)
  }).pipe(
    // It is written with the next commit, or in a second.
    Effect.catchCause((cause) => Effect.logDebug("could not write watermarks", Reason.chain(cause)))
  )
