import { Codes } from "@troupe/contract"
import { Nats, type NatsError, Position, Publisher, whileConnected } from "@troupe/nats"
import type { Commit } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Agenda } from "./Agenda.ts"
import type { Handled, Memory } from "./Batch.ts"
import type { Consumer } from "./Consumer.ts"
import { Deadlines } from "./Deadlines.ts"
import type { Progress } from "./Progress.ts"

// What a partition does after its database was set back: what was handled since is read again, and has to be handled again
// in its order, with nothing in front of it that came later.

/** Where the streams of a consumer ended for a partition when it was taken, by stream. */
export type Ends = { readonly [stream: string]: number }

/** Looks where the streams end. */
export const ends = (
  { sources }: Pick<Consumer, "sources">,
  p: number
): Effect.Effect<Ends, Publisher.PublishError | Publisher.Unanswered, Nats> =>
  Effect.map(
    Effect.forEach(
      sources,
      ({ filter, stream }) =>
        Effect.map(
          whileConnected(Publisher.lastOf(stream, filter(p))),
          (last) => [stream, last?.sequence ?? 0] as const
        ),
      { concurrency: 4 }
    ),
    (all) => Object.fromEntries(all)
  )

/**
 * The cursors, each compared with its stream: one that speaks of messages that the stream lost goes back to where reading
 * goes on. Only then can it be compared with the end of the stream.
 */
export const located = (
  { consumer, p }: Pick<Progress<Consumer>, "consumer" | "p">,
  cursors: Commit.Cursors
): Effect.Effect<Commit.Cursors, NatsError | Publisher.Unanswered, Nats> =>
  Effect.map(
    Effect.forEach(
      consumer.sources,
      ({ claimed, filter, stream }) =>
        Effect.gen(function* () {
          const cursor = readFrom(cursors[stream])
          if (cursor === undefined) return []
          // As the reader compares it.
          const { finding, position } = yield* whileConnected(
            Position.locate(stream, claimed === undefined ? filter(p) : undefined, cursor)
          )
          if (finding?.code !== "TRP0408") return []
          yield* Effect.logWarning(Codes.text(finding.code, `${stream}, partition ${p}`, finding.why))
          return [[stream, position] as const]
        }),
      { concurrency: 4 }
    ),
    (found) => ({ ...cursors, ...Object.fromEntries(found.flat()) })
  )

/** The cursors of a partition whose database was set back: all up to the ends of the streams may have been handled before. */
export const marked = (cursors: Commit.Cursors, ends: Ends): Commit.Cursors => ({
  ...cursors,
  ...Object.fromEntries(
    Object.entries(ends).map(([stream, end]) => {
      const cursor = { seq: 0, id: "", ...cursors[stream] }
      // Not less than before: what is parked was read long ago.
      return [stream, { ...cursor, redo: Math.max(end, cursor.seq, cursor.redo ?? 0) }]
    })
  )
})

/** Where a reader goes on. A cursor that only says what is to be handled again says nothing of what was read. */
export const readFrom = (cursor: Commit.Cursor | undefined): Commit.Cursor | undefined =>
  cursor?.seq === 0 && cursor.created === undefined ? undefined : cursor

/** Whether messages are read again that may have been handled before the database was set back. */
export const isIn = (cursor: Commit.Cursor | undefined): boolean => (cursor?.redo ?? 0) > (cursor?.seq ?? 0)

/** A commit of the cursors alone: the next owner knows what this one has found. */
export const noted = ({ cursors, fence, left, pos }: Memory): Handled => ({
  work: { fence, pos, cursors, inbox: [], states: [], outbox: [], more: {}, bytes: 1_000 },
  replies: [],
  states: new Map(),
  parked: new Map(),
  tooLate: [],
  left
})

/**
 * A deadline says nothing of a message that may have been handled in time before the database was set back: such a message is
 * handled again. One that was too late then is no longer in its stream (`TooLate`), also if it waits in Postgres.
 */
export const lenient = <A, E, R>(
  cursors: Commit.Cursors,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | Nats> =>
  Object.values(cursors).every(({ redo }) => redo === undefined)
    ? effect
    : Effect.gen(function* () {
        const nats = yield* Nats
        const deadlines = yield* Deadlines
        const isThere = (stream: string, sequence: number) =>
          Publisher.at(stream, sequence).pipe(
            Effect.timeout("1 second"),
            Effect.match({ onSuccess: (message) => message !== undefined, onFailure: () => true }),
            Effect.provideService(Nats, nats)
          )
        const over: typeof deadlines.over = (delivery) => {
          const { message, stream, waited } = delivery.incoming
          if (message.seq === 0 || message.seq > (cursors[stream]?.redo ?? 0)) return deadlines.over(delivery)
          if (waited === undefined) return Effect.succeed(false)
          return Effect.flatMap(deadlines.over(delivery), (over) =>
            over ? Effect.map(isThere(stream, message.seq), (is) => !is) : Effect.succeed(false)
          )
        }
        return yield* Effect.provideService(effect, Deadlines, { over })
      })

/** How long timers wait, at most, where nothing says that the database was set back. */
const doubtful = "1 minute"
/** How often to look where the streams end now, and after how many looks it is told that timers wait. */
const look = { every: "2 seconds", told: 15 } as const

/**
 * Timers and parked messages wait until a partition is past what its streams held when it was taken: a command that cancels
 * a timer may be among that, and was handled before the database was set back. Where nothing says that it was, only timers
 * wait, and a minute at most: nobody may be left who could know. Answers what is to be called after each commit.
 */
export const hold = (
  progress: Progress<Consumer>,
  agenda: Agenda,
  found: Ends,
  known: () => Memory
): Effect.Effect<() => void, never, Nats | Scope.Scope> =>
  Effect.gen(function* () {
    const { consumer, p } = progress
    let awaited: Ends | undefined = found
    const { cursors } = known()
    const proven = Object.values(cursors).some(isIn)
    const before = progress.notice
    let notice: string | undefined
    const release = (): void => {
      awaited = undefined
      agenda.hold("nothing")
      if (notice !== undefined && progress.notice === notice) progress.notice = before
    }
    const passed = (): void => {
      if (awaited === undefined) return
      const { cursors } = known()
      if (Object.entries(awaited).every(([stream, end]) => (cursors[stream]?.seq ?? 0) >= end)) release()
    }
    passed()
    if (awaited === undefined) return () => {}
    agenda.hold(proven ? "all" : "timers")
    const watch = Effect.gen(function* () {
      if (!proven) return yield* Effect.andThen(Effect.sleep(doubtful), Effect.sync(release))
      for (let looks = 1; awaited !== undefined; looks++) {
        yield* Effect.sleep(look.every)
        // What a stream has lost meanwhile is not waited for.
        const now = yield* Effect.result(Effect.timeout(ends(consumer, p), look.every))
        if (now._tag === "Success" && awaited !== undefined)
          awaited = Object.fromEntries(
            Object.entries(awaited).map(([s, end]) => [s, Math.min(end, now.success[s] ?? end)])
          )
        passed()
        if (looks !== look.told || awaited === undefined) continue
        const why = Object.entries(awaited).map(([s, end]) => `${s}: ${known().cursors[s]?.seq ?? 0} of ${end}`)
        notice = Codes.text("TRP0320", `${consumer.name}, partition ${p}`, why.join(", "))
        progress.notice = notice
        yield* Effect.logWarning(notice)
      }
    })
    yield* Effect.forkScoped(watch)
    yield* Effect.addFinalizer(() => Effect.sync(release))
    return passed
  })
