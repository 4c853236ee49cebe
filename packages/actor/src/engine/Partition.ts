import { Codes, Id, Reason, Subject } from "@troupe/contract"
import { type Message, Nats, type Position, Publisher, Reader } from "@troupe/nats"
import { FailPoints, Relay } from "@troupe/outbox"
import { Db, DbError, Sql } from "@troupe/postgres"
import { Commit, isLost, Lease, type Ownership } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Agendas } from "./Agenda.ts"
import * as Attempt from "./Attempt.ts"
import * as Alone from "./Alone.ts"
import { type Handled, handle, type Memory, type Options } from "./Batch.ts"
import { Away, Brake, Braked } from "./Brake.ts"
import * as Cache from "./Cache.ts"
import * as CaughtUp from "./CaughtUp.ts"
import { CommitLost, CommitRefused, Committer, failed, unread } from "./Committer.ts"
import type { Consumer } from "./Consumer.ts"
import * as Cursor from "./Cursor.ts"
import * as DeadLetters from "./DeadLetters.ts"
import { grant } from "./Grant.ts"
import type { Loader } from "./Loader.ts"
import type { Progress } from "./Progress.ts"
import * as SetBack from "./SetBack.ts"
import * as Lost from "./Lost.ts"
import * as Mailbox from "./Mailbox.ts"
import * as Measures from "./Measures.ts"
import { type Portion, Suspects } from "./Suspects.ts"
import * as TooLate from "./TooLate.ts"
import { TooMuch } from "./TooMuch.ts"
import * as Unclaimed from "./Unclaimed.ts"

export { type Progress, progress } from "./Progress.ts"

/** States kept in memory per partition: entries, and characters of what they are stored as. */
const cached = { entries: 1_000, size: 4 * 1024 ** 2 }

/** After a message that was handled before, the inbox is asked first for so many batches: such messages seldom come alone. */
const whenRepeated = 100

/** Messages in one transaction of a partition at most: the first one's caller hears nothing before the last one is done. */
const transactedLimit = 100

/** Another owner took the partition, or this one no longer knows how far it is. */
class Fenced extends Error {
  override readonly name = "Fenced"
}

/** The events of an actor in one partition. */
const laneOf = ({ name, part, service }: Consumer, p: number): string | undefined =>
  part.kind === "actor" ? Subject.filter("evt", service, p, name.split(".")[1]) : undefined

/** Whether a partition that was just taken shows that its database was set back. Fails while its stream cannot be asked. */
export const isSetBack = (
  progress: Progress<Consumer>,
  found: Ownership.Taken
): Effect.Effect<boolean, unknown, Nats> =>
  Cursor.isSetBack(
    progress,
    found,
    Subject.stream("evt", progress.consumer.service),
    laneOf(progress.consumer, progress.p)
  )

/** From a take-over until the partition is lost, or to be given back (then it is interrupted): one file of how a message is handled, from the stream to the outbox. */
export const session = (
  progress: Progress<Consumer>,
  found: Ownership.Taken & { readonly setBack: boolean }
): Effect.Effect<never, unknown, Services | Scope.Scope> =>
  Effect.gen(function* () {
    const { consumer, p } = progress
    const lane = laneOf(consumer, p)
    const ends = yield* SetBack.ends(consumer, p)
    const { setBack, ...taken } = yield* Cursor.taken(progress, found, Subject.stream("evt", consumer.service), lane)
    const cursors = setBack ? SetBack.marked(yield* SetBack.located(progress, taken.cursors), ends) : taken.cursors
    const relay = yield* Relay.make({ service: consumer.service, fence: taken.fence, lane, setBack })

    const mailbox = Mailbox.make()
    const agenda = yield* (yield* Agendas).enter(taken.fence, () => mailbox.ring())
    let memory: Memory = { ...taken, cursors, cache: Cache.make(cached), agenda, brake: new Brake(), wary: 0, left: [] }
    memory = yield* withRoom(progress, memory)
    const readers = yield* Effect.forEach(consumer.sources, ({ claimed, filter, stream }) =>
      Effect.gen(function* () {
        const into = (message: Message.Message, position: Position.Position, pending: number) => {
          progress.pending[stream] = pending
          return mailbox.offer({ stream, message, position })
        }
        return Reader.read({
          stream,
          filter: filter(p),
          headersOnly: claimed !== undefined,
          after: SetBack.readFrom(cursors[stream]),
          setBack: setBack || SetBack.isIn(cursors[stream]),
          into: claimed === undefined ? into : yield* Unclaimed.make(progress, claimed, stream, mailbox),
          moved: Cursor.follow(progress, mailbox, stream, filter(p))
        })
      })
    )
    if (setBack) {
      const noted = yield* commit(consumer, memory, SetBack.noted(memory), relay)
      memory = noted === "repeated" ? memory : noted
    }
    const passed = yield* SetBack.hold(progress, agenda, ends, () => memory)
    progress.cursors = memory.cursors
    progress.n = memory.fence.n
    // One that was ready has a position in each stream: what is deleted from then on, before it is read, is told.
    const begin = (): void => {
      progress.ready = consumer.sources.every(({ stream }) => SetBack.readFrom(progress.cursors[stream]) !== undefined)
      progress.trouble = progress.ready ? undefined : "its start in the streams is not committed yet"
    }
    begin()
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        progress.ready = false
        progress.trouble = "taken anew"
        progress.pending = {}
        progress.room = undefined
      })
    )
    const caughtUp = yield* CaughtUp.serve(consumer, p, () => memory)
    const moved = (to: Memory): void => {
      memory = to
      progress.cursors = memory.cursors
      progress.n = memory.fence.n
      progress.failures = 0
      passed()
      if (!progress.ready) begin()
      caughtUp()
    }
    const suspects = new Suspects(consumer, { ...found, suspects: yield* Lost.suspected(found) })
    const turns = Effect.gen(function* () {
      let inFront = false
      while (true) {
        yield* relay.room
        agenda.arm()
        memory = yield* withRoom(progress, memory)
        const { left } = memory
        // What is at hand waits for nothing; and as long as it is much, nothing is added to it.
        if (left.length > 0) mailbox.ring()
        let items = Mailbox.isFull(left) ? left : [...left, ...(yield* mailbox.take)]
        // Not twice running while something is at hand: that would wait for ever.
        inFront = !(inFront && left.length > 0)
        if (agenda.isDue()) {
          memory = yield* withWishes(progress, memory, relay)
          // What waits in Postgres and is due comes in front of what was read.
          if (inFront) items = [...(yield* agenda.due), ...items]
        }
        const portion = suspects.portion(items)
        if (items.length > 0) {
          const condemned = yield* suspects.judged(portion)
          const run = settle(progress, { ...memory, left: [] }, portion.now, relay, moved, condemned)
          memory = yield* Effect.tapError(portioned(suspects, portion, run), (error) =>
            error instanceof CommitLost && error.during !== undefined
              ? Lost.note(memory.fence, error.during)
              : Effect.void
          )
        }
        moved(portion.later.length === 0 ? memory : { ...memory, left: [...memory.left, ...portion.later] })
        if (memory.left.length === 0 && suspects.leftovers) yield* suspects.note(none)
      }
    })
    return yield* Effect.raceAllFirst([turns, ...readers])
  })

type Condemned = NonNullable<Options["condemned"]>

const none: Portion = { now: [], later: [], alone: false, condemned: undefined }

/**
 * Runs a portion as it has to be run. A suspect is noted, run and forgotten while nothing else runs: what only waits beside a
 * message that ends the host is not to blame.
 */
const portioned = <E, R>(suspects: Suspects, portion: Portion, run: Effect.Effect<Memory, E, R>) => {
  const noted = Effect.andThen(suspects.note(portion), run).pipe(
    Effect.tap(() => Effect.sync(() => suspects.ended(portion)))
  )
  if (!portion.alone) return noted
  const { condemned } = portion
  const to = suspects.nameOf(portion.now[0] as Mailbox.Incoming)
  return condemned === undefined
    ? Effect.logWarning(Codes.text("TRP0329", to, suspects.why(portion.now[0] as Mailbox.Incoming))).pipe(
        Effect.andThen(Alone.exclusively(Effect.tap(noted, () => suspects.note(none))))
      )
    : Effect.andThen(Effect.logError(Codes.text(condemned.code, to, condemned.reason)), noted)
}

/**
 * Handles a batch to its end. One that stages too much for a commit, or that Postgres refuses for what it says, is halved;
 * a message that is refused alone is given up. `moved` is called when a half is done. What is not begun in time is left
 * in memory.
 */
const settle = (
  progress: Progress<Consumer>,
  memory: Memory,
  items: ReadonlyArray<Mailbox.Item>,
  relay: Relay.Relay,
  moved: (to: Memory) => void,
  condemned?: Condemned
): Effect.Effect<Memory, CommitLost | Fenced, Services> =>
  Effect.catch(handleBatch(progress, memory, items, relay, condemned), (error) =>
    Effect.gen(function* () {
      if (error instanceof CommitLost || error instanceof Fenced) return yield* Effect.fail(error)
      if (items.length > 1) {
        const half = Math.ceil(items.length / 2)
        const between = yield* Effect.flatMap(settle(progress, memory, items.slice(0, half), relay, moved), (memory) =>
          withRoom(progress, memory)
        )
        moved(between)
        const behind = items.slice(half)
        // Nothing overtakes what was left of the first half.
        if (between.left.length > 0)
          return { ...between, left: [...between.left, ...behind.filter(({ position }) => position !== undefined)] }
        // The first half may have cancelled or set anew what is due here: timers are asked for again.
        const rest = behind.filter((item) => !Mailbox.isMessage(item) || item.waited?.kind !== "timer")
        return rest.length === 0 ? between : yield* settle(progress, between, rest, relay, moved)
      }
      const cause = error instanceof CommitRefused ? error.cause : error
      yield* Effect.logWarning("Postgres refuses what a message wants to commit: it is given up", Reason.chain(cause))
      const refused = { code: "TRP0306", reason: Attempt.bounded(cause), blocks: false } as const
      return yield* Effect.mapError(handleBatch(progress, memory, items, relay, refused), lost)
    })
  )

type Services = Sql | Db | Nats | Committer | Loader | Agendas

/** Waits, and says so, as long as too many keys fail, or the edge or what PostgreSQL needs is away; what operators wish is done meanwhile. */
const handleBatch = (
  progress: Progress<Consumer>,
  ...batch: [memory: Memory, items: ReadonlyArray<Mailbox.Item>, relay: Relay.Relay, condemned?: Condemned]
): Effect.Effect<Memory, CommitLost | CommitRefused | Fenced | TooMuch, Services> =>
  Effect.catchIf(Alone.shared(handleOnce(progress.consumer, ...batch)), isBraked, (braked) =>
    Effect.gen(function* () {
      const tell = (why: Braked) => {
        progress.ready = false
        progress.trouble = why.message
        progress.away = why instanceof Away
      }
      tell(braked)
      yield* Effect.logError(braked.message)
      const [before, items, relay, condemned] = batch
      let memory = before
      for (let wait = 1; ; wait = Math.min(2 * wait, 30)) {
        for (let second = 0; second < wait; second++) {
          yield* Effect.sleep("1 second")
          memory = yield* Effect.mapError(withWishes(progress, memory, relay), lost)
        }
        const after = yield* Alone.shared(handleOnce(progress.consumer, memory, items, relay, condemned)).pipe(
          // Whoever halves the batch does not know of the wishes that were done meanwhile: then it is taken anew.
          Effect.mapError((error) => (isBraked(error) || memory === before ? error : lost(error))),
          Effect.catchIf(isBraked, (still) =>
            Effect.as(
              Effect.sync(() => tell(still)),
              undefined
            )
          )
        )
        if (after === undefined) continue
        yield* Effect.logInfo("what it waited for is over: it goes on")
        return after
      }
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          progress.ready = true
          progress.trouble = undefined
          progress.away = false
        })
      )
    )
  )
const lost = (error: unknown): CommitLost | Fenced =>
  error instanceof CommitLost || error instanceof Fenced ? error : new CommitLost({ cause: error })
const isBraked = (error: unknown): error is Braked => error instanceof Braked

/** Handlers, commit, replies, relay. */
const handleOnce = (...[consumer, memory, ...batch]: Parameters<typeof handleAll>): ReturnType<typeof handleAll> =>
  SetBack.lenient(memory.cursors, handleAll(consumer, memory, ...batch))

const handleAll = (
  consumer: Consumer,
  memory: Memory,
  items: ReadonlyArray<Mailbox.Item>,
  relay: Relay.Relay,
  condemned?: Condemned
): Effect.Effect<Memory, CommitLost | CommitRefused | Fenced | TooMuch | Braked, Services> =>
  Effect.gen(function* () {
    if (Cursor.stays(memory.cursors, items)) return yield* confirmed(memory)
    const { capabilities } = yield* Nats
    // While something is parked, what comes again must not get in line behind it.
    const check = memory.wary > 0 || memory.agenda.size > 0 || condemned !== undefined || items.some(isRetry)
    const options = { maxPayload: capabilities.maxPayload, watermarks: relay.watermarks, condemned, check }
    const hit = yield* FailPoints
    // Handlers run in a fiber of the transaction's own, and are interrupted there when they take too long. Once they have
    // begun to write, the batch is finished and answered.
    const transacted = Effect.uninterruptible(
      Effect.flatMap(
        inTransaction(consumer, memory, items, { ...options, check: true, transaction: true }),
        (handled) => finish(consumer, memory, handled, relay)
      )
    )
    const usesDb = items.some(
      (item) => Mailbox.isMessage(item) && consumer.usesDb.has(item.message.headers.get("ce-type") ?? "")
    )
    if (usesDb && items.filter(Mailbox.isMessage).length > transactedLimit) return yield* Effect.fail(new TooMuch())
    if (usesDb && condemned === undefined) return yield* transacted
    const handled = yield* Effect.result(handle(consumer, memory, items, { ...options, transaction: false }))
    const asked = Effect.suspend(() => handleOnce(consumer, { ...memory, wary: whenRepeated }, items, relay))
    if (handled._tag === "Failure") {
      if (handled.failure instanceof Attempt.NeedsTransaction) return yield* transacted
      const failing = isBraked(handled.failure) && !(handled.failure instanceof Away)
      return failing && !check ? yield* asked : yield* Effect.fail(handled.failure)
    }
    // What was handled before may fail when it runs once more: that is no reason to park it.
    if (!check && handled.success.work.more.parked!.length > 0) return yield* asked
    if (items.some(Mailbox.isMessage)) yield* hit("before commit")
    const verdict = yield* commit(consumer, memory, handled.success, relay)
    if (verdict !== "repeated") return verdict
    if (check) return yield* new CommitLost({ cause: new Error("the inbox has what it did not have a moment ago") })
    return yield* asked
  })

/** What was handed to the committer may be committed: from here to the end of `finish` nothing interrupts. */
const commit = (consumer: Consumer, memory: Memory, handled: Handled, relay: Relay.Relay) =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const committer = yield* Committer
      const verdict = yield* committer.commit(handled.work)
      if (verdict === "fenced") return yield* Effect.fail(fenced(memory))
      return verdict === "committed" ? yield* finish(consumer, memory, handled, relay) : verdict
    })
  )

/** Counts the dead letters of a partition, where the last commit changed them, and tells operators of what fills up. */
const withRoom = (progress: Progress<Consumer>, memory: Memory): Effect.Effect<Memory, CommitLost, Sql> =>
  Effect.gen(function* () {
    if (memory.room !== undefined) return memory
    const room = yield* DeadLetters.room(memory.fence, progress.limits)
    const before = progress.room === undefined ? "room" : DeadLetters.level(progress.room)
    progress.room = room
    const level = DeadLetters.level(room)
    if (level !== before && level !== "room")
      yield* Effect.logWarning(DeadLetters.complaint(progress.consumer.name, [progress]))
    return { ...memory, room }
  })

/** Does what operators wished. */
const withWishes = (
  progress: Progress<Consumer>,
  memory: Memory,
  relay: Relay.Relay
): Effect.Effect<Memory, Braked | CommitLost | CommitRefused | Fenced, Services> =>
  Effect.gen(function* () {
    const wishes = yield* memory.agenda.wishes
    if (wishes.length === 0) return memory
    const granted = yield* commit(progress.consumer, memory, grant(memory, wishes, relay.watermarks()), relay)
    if (granted === "repeated") return yield* Effect.die("nothing of a wish is in the inbox")
    return yield* withRoom(progress, granted)
  })

/**
 * A caller that asks again publishes the same id under another `Nats-Msg-Id`. Its turn is likely to be a slow one, and
 * should not run again before the commit says that it did.
 */
const isRetry = (item: Mailbox.Item): boolean => {
  if (!Mailbox.isMessage(item)) return false
  const published = item.message.headers.get("Nats-Msg-Id")
  return published !== undefined && Id.ofPublished(published) !== item.message.headers.get("ce-id")
}

const fenced = ({ fence }: Memory): Fenced => new Fenced(`partition ${fence.p} has another owner`)

/** A database that was set back is noticed also while there is nothing to commit. */
const confirmed = (memory: Memory): Effect.Effect<Memory, CommitLost | Fenced, Sql> =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const ours = yield* Effect.tryPromise({
      try: () => Commit.isOurs(sql, memory.fence),
      catch: (cause) => new CommitLost({ cause })
    })
    return ours ? memory : yield* Effect.fail(fenced(memory))
  })

/** The whole batch in a transaction of its partition alone: fence, handlers in savepoints, commit. */
const inTransaction = (
  consumer: Consumer,
  memory: Memory,
  items: ReadonlyArray<Mailbox.Item>,
  options: Parameters<typeof handle>[3]
): Effect.Effect<Handled, CommitLost | CommitRefused | Fenced | TooMuch | Braked, Db | Loader> =>
  Effect.gen(function* () {
    const db = yield* Db
    const hit = yield* FailPoints
    // A database that cannot be reached, or does not take the fence, says nothing of the messages. What only the commit finds
    // out is refused, whatever its SQLSTATE: a constraint or a trigger of the service's own that was deferred until then.
    let committing = false
    return yield* db
      .transaction(
        Effect.gen(function* () {
          const ours = db.query((tx) => Commit.fenceIn(tx, memory.fence))
          if (!(yield* Effect.mapError(ours, unread))) return yield* Effect.fail(fenced(memory))
          const handled = yield* handle(consumer, memory, items, options)
          yield* hit("before commit")
          yield* Effect.mapError(Lease.check, (cause) => new CommitLost({ cause }))
          const verdict = yield* Effect.mapError(
            db.query((tx) => Commit.commitIn(tx, handled.work)),
            // The fence could be locked, so this is no standby: a turn made its transaction read-only.
            (cause) => (cause.code === "25006" ? new CommitRefused({ cause }) : failed(cause))
          )
          if (verdict !== "committed") return yield* Effect.fail(fenced(memory))
          committing = true
          return handled
        })
      )
      .pipe(
        Effect.catch((error) => {
          if (error instanceof Attempt.NeedsTransaction) return Effect.die(error)
          if (error instanceof DbError)
            return Effect.fail(
              committing && !isLost(error) ? new CommitRefused({ cause: error }) : new CommitLost({ cause: error })
            )
          return Effect.fail(error)
        })
      )
  })

/** After the commit: replies, relay, memory. */
const finish = (
  consumer: Consumer,
  memory: Memory,
  { left, parked, replies, states, tooLate, work }: Handled,
  relay: Relay.Relay
): Effect.Effect<Memory, never, Nats> =>
  Effect.gen(function* () {
    const { connection } = yield* Nats
    const hit = yield* FailPoints
    // Of messages: a cursor that moves alone is no point at which anything could be lost.
    if (work.inbox.length > 0 || (work.more.parked ?? []).length > 0) yield* hit("after commit")
    if (tooLate.length > 0) yield* TooLate.remember(consumer, tooLate)
    for (const { body, headers, to } of replies) {
      try {
        connection.publish(to, body, { headers: Publisher.ready(headers) })
      } catch {
        // A caller that hears nothing asks again and gets the stored answer.
      }
    }
    relay.committed(work)
    yield* Measures.committed(consumer, work)
    for (const [token, { size, value, version }] of states) memory.cache.set(token, { version, value, size })
    const fence = { ...work.fence, n: work.fence.n + 1 }
    memory.agenda.committed(work.more.timers ?? [], parked)
    const { dead = [], undead = [] } = work.more
    const room = dead.length + undead.length > 0 ? undefined : memory.room
    return { ...memory, fence, pos: work.pos, cursors: work.cursors, wary: Math.max(0, memory.wary - 1), left, room }
  })
