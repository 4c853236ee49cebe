import { Codes, Envelope } from "@troupe/contract"
import { Db, DbError } from "@troupe/postgres"
import { type Commit, isLost, Lease } from "@troupe/postgres/internal"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Agenda } from "./Agenda.ts"
import * as Answers from "./Answers.ts"
import * as Attempt from "./Attempt.ts"
import { Board } from "./Board.ts"
import * as Breath from "./Breath.ts"
import { type Brake, Braked } from "./Brake.ts"
import type { Cache, Entry } from "./Cache.ts"
import { CommitLost } from "./Committer.ts"
import type { Consumer } from "./Consumer.ts"
import { Deadlines } from "./Deadlines.ts"
import * as DeadLetters from "./DeadLetters.ts"
import type { Delivery } from "./Delivery.ts"
import { type Answer, Loader } from "./Loader.ts"
import * as Cursor from "./Cursor.ts"
import * as Cut from "./Cut.ts"
import { type Incoming, isMessage, type Item } from "./Mailbox.ts"
import * as Parking from "./Parking.ts"
import { shown, type Sorted, sorted } from "./Queues.ts"
import * as Remote from "./Remote.ts"
import type { Staged } from "./Staged.ts"
import * as Stored from "./Stored.ts"
import * as Timers from "./Timers.ts"
import * as TooLate from "./TooLate.ts"
import { TooMuch } from "./TooMuch.ts"
import * as Tracing from "./Tracing.ts"

/** What the owner of a partition knows between two commits. */
export interface Memory {
  readonly fence: Commit.Fence
  readonly pos: number
  readonly cursors: Commit.Cursors
  readonly cache: Cache
  readonly agenda: Agenda
  readonly brake: Brake
  /** For so many batches the inbox is asked before handlers run: lately messages came again. */
  readonly wary: number
  /** What is at hand behind the cursors, in the order of reading: the batch before was cut. */
  readonly left: ReadonlyArray<Item>
  /** None: it is to be counted before the next batch. */
  readonly room?: DeadLetters.Room | undefined
}

/** A batch that ran, ready to be committed; and what is to be done once it is. */
export interface Handled {
  readonly work: Commit.Work
  readonly replies: ReadonlyArray<Answers.Outgoing>
  readonly states: ReadonlyMap<string, Entry>
  /** By token. */
  readonly parked: ReadonlyMap<string, Parking.Change>
  /** What of the batch stays at hand: all that comes after the first message that was not begun. */
  readonly left: ReadonlyArray<Item>
  /** Commands whose answer is that they were too late: their stream is to remember it before that is said. */
  readonly tooLate: ReadonlyArray<Incoming>
}

export interface Options {
  readonly maxPayload: number
  /** Inside a transaction of the partition's: handlers may use `Db`, and run one after another on its connection. */
  readonly transaction: boolean
  /** Ask the inbox before handlers run. Without it the commit finds what was handled before, and writes nothing. */
  readonly check: boolean
  /**
   * Why the messages are given up without being decoded or run: Postgres refused what they wanted, or they end hosts.
   * `blocks`: their keys wait until an operator redrives or discards them.
   */
  readonly condemned?: (Attempt.Failure & { readonly blocks: boolean }) | undefined
  readonly watermarks: () => ReadonlyArray<Commit.WatermarkRow>
}

/**
 * For so long (ns) messages of a batch are begun, and failed ones tried again in place. Callers, health and the next owner
 * wait for its commit: this, and the time that one handler may take.
 */
export const budget = 2_000_000_000n

/** Bytes that a batch may stage, but for a single message. */
const stagedLimit = 16 * 1024 ** 2

/** Failures that code or data may mend in time. What is no valid message stays none. */
const mendable: ReadonlySet<Codes.Code> = new Set(["TRP0301", "TRP0302", "TRP0304"])

/**
 * Runs the turns of a batch: in order within a key, keys side by side. A message that fails is parked, and those of its
 * key behind it. After 2 s no further message is begun: what is done is to be committed. Nothing is written here. Fails with `NeedsTransaction` when a handler asks for `Db` in a pure run, with
 * `Braked` when too many keys fail, or its edge is away.
 */
export const handle = (
  consumer: Consumer,
  memory: Memory,
  items: ReadonlyArray<Item>,
  options: Options
): Effect.Effect<Handled, CommitLost | Attempt.NeedsTransaction | TooMuch | Braked, Loader | Db> =>
  Effect.scoped(handleWith(consumer, memory, items, options))

const handleWith = (
  ...[consumer, memory, items, options]: Parameters<typeof handle>
): Effect.Effect<Handled, CommitLost | Attempt.NeedsTransaction | TooMuch | Braked, Loader | Db | Scope.Scope> =>
  Effect.gen(function* () {
    const { closed, deliveries, queues, refusals } = yield* sorted(consumer, items.filter(isMessage), {
      board: yield* Board,
      decode: options.condemned === undefined
    })
    const { asks, inbox, postponed, states } = yield* load(consumer, memory, deliveries, queues, options)

    const deadlines = yield* Deadlines
    const { agenda } = memory
    const parking = { ...agenda.policy, blocks: consumer.blocks || options.condemned?.blocks === true }
    const isFull = memory.room !== undefined && DeadLetters.level(memory.room) === "full"
    // A message that ends hosts is not tried again for want of room: each costs a process, so they are few.
    const needsLetter = ({ delivery, dead }: Attempt.Done): boolean =>
      delivery.replyTo === undefined && dead?.code !== "TRP0307" && options.condemned?.code !== "TRP0302"
    const moves = new Parking.Moves()
    let broken = false
    const sent: Array<Staged> = []
    const done = new Map<string, Attempt.Done>()
    let bytes = 0
    const clock = yield* Clock.Clock
    const since = clock.monotonicTimeNanosUnsafe()
    let stopped = false
    const late = () => stopped || clock.monotonicTimeNanosUnsafe() - since > budget
    /** Messages whose handlers were begun: the first is begun in any case. */
    let begun = 0
    const waiting = new Set<Incoming>(closed)
    /** Refused, and parked to hold up their keys. */
    const blocking = new Set<Incoming>()
    const transact = options.transaction ? inSavepoint(yield* Db) : pure
    const { part } = consumer
    const take = "edge" in part ? yield* Remote.make(consumer, part, queues, late) : Attempt.here(consumer, part)
    const changed = new Map<string, Entry & { readonly text: string }>()
    const keys = [...queues].map(([token, queue]) => {
      const loaded = memory.cache.get(token) ?? states.get(token) ?? { version: 0, value: consumer.initial, size: 0 }
      return {
        token,
        queue,
        loaded,
        value: "unreadable" in loaded ? undefined : loaded.value,
        line: new Parking.Line(token, agenda.key(token), parking, moves, asks.get(token)),
        outcome: "none" as "none" | "good" | "bad",
        /** Timers that turns of this batch set or cancelled. */
        reset: new Set<string>()
      }
    })
    /** The next message of a key. */
    const handleNext = function* (of: (typeof keys)[number], next: (typeof of.queue)[number]) {
      // An edge computes elsewhere, and takes what is asked at once in one call.
      if (!("edge" in part) && Breath.isDue()) yield* Breath.take
      // What comes behind it in its key waits too: it is still late then, and its state not read.
      if (postponed.has(of.token) || (begun > 0 && late())) return void waiting.add(next.incoming)
      // Nothing interrupts a transaction; what is left of it would not be committed any more.
      if (options.transaction) yield* Effect.mapError(Lease.check, (cause) => new CommitLost({ cause }))
      const { line, loaded, reset } = of
      const { waited } = next.incoming
      // Cancelled or set anew by an earlier turn of this batch.
      if (waited?.kind === "timer" && reset.has(waited.name)) return
      const runs = line.runs(next.incoming)
      // What was handled before gets in no line.
      const known = "payload" in next ? (inbox.get(next.id) ?? done.get(next.id)?.delivery) : undefined
      if ("payload" in next && known !== undefined && (runs || waited === undefined)) {
        if (next.replyTo === undefined && Answers.isOther(next, known)) refusals.push(Answers.usedTwice(next))
        return line.passes(next.incoming)
      }
      if (!runs) {
        const waits = options.condemned === undefined ? line.waits(next.incoming) : waited !== undefined
        if (waits === "other" && "payload" in next && next.replyTo === undefined) refusals.push(Answers.usedTwice(next))
        if (waits) return
        if ("payload" in next) done.set(next.id, Attempt.given(next, options.condemned ?? full(parking)))
        else if ("why" in next) refusals.push(next)
        return
      }
      if ("onward" in next) {
        if (next.onward !== undefined) sent.push(next.onward)
        return line.passes(next.incoming)
      }
      if ("why" in next) {
        const failure = { code: next.code, reason: Attempt.bounded(next.why) }
        // Whoever waits for an answer is told.
        if (next.caller !== undefined && next.newer === undefined) line.passes(next.incoming)
        else if (line.fails(next.incoming, failure, next.newer ? Infinity : 0)) return
        else if (parking.blocks) blocking.add(next.incoming)
        return void refusals.push(next)
      }
      const first = !options.transaction || begun === 0
      begun++
      const one =
        options.condemned !== undefined
          ? Attempt.given(next, options.condemned)
          : "unreadable" in loaded
            ? Attempt.given(next, { code: "TRP0304", reason: loaded.unreadable })
            : TooLate.is(next.incoming.message) || (yield* deadlines.over(next))
              ? Attempt.expired(next)
              : yield* Effect.catchIf(
                  Tracing.turn(consumer, next, (traced) =>
                    Attempt.run(consumer, traced, of.value, options.maxPayload, take, transact, late, first)
                  ),
                  (error): error is Attempt.Postponed | Remote.NotBegun =>
                    error instanceof Attempt.Postponed || error instanceof Remote.NotBegun,
                  (error) =>
                    Effect.sync(() => {
                      // What comes after it in the batch waits as well.
                      if (error instanceof Attempt.Postponed) stopped = true
                      return undefined
                    })
                )
      if (one === undefined) return void waiting.add(next.incoming)
      if (one.dead === undefined) {
        line.passes(next.incoming)
        if (of.outcome === "none") of.outcome = "good"
      } else {
        const mends = options.condemned === undefined && mendable.has(one.dead.code)
        if (mends && waited?.kind !== "parked") of.outcome = "bad"
        const limit = isFull && needsLetter(one) ? Infinity : mends ? parking.attempts : 0
        if (line.fails(next.incoming, one.dead, limit)) return
      }
      // The same id under another key, side by side: one after the other, the inbox tells.
      if (done.has(next.id)) return yield* Effect.fail(new TooMuch())
      done.set(next.id, one)
      for (const { name } of one.timers) reset.add(name)
      for (const { name } of one.cleared) reset.add(name)
      bytes += sizeOf(one)
      if (bytes > stagedLimit && deliveries.length > 1) return yield* Effect.fail(new TooMuch())
      if (one.state !== undefined) {
        of.value = one.state.value
        changed.set(of.token, {
          version: loaded.version + 1,
          value: of.value,
          size: one.state.text.length,
          text: one.state.text
        })
      }
    }
    const ended = ({ outcome, token }: (typeof keys)[number]): void => {
      if (outcome === "bad") broken = true
      // One that failed unasked runs once more, or is dropped.
      if (outcome === "good" || (outcome === "bad" && options.check)) memory.brake.saw(token, outcome === "bad")
    }
    if (options.transaction) {
      // In the order of reading: so the keys take turns, and the cursors move as far as they can.
      const nth = new Map(items.map((item, i) => [item, i]))
      const all = keys.flatMap((of) => of.queue.map((next) => ({ of, next, nth: nth.get(next.incoming)! })))
      for (const { next, of } of all.sort((one, other) => one.nth - other.nth)) yield* handleNext(of, next)
      keys.forEach(ended)
    } else {
      yield* Effect.forEach(
        keys,
        (of) =>
          Effect.gen(function* () {
            for (const next of of.queue) yield* handleNext(of, next)
            ended(of)
          }),
        { concurrency: "unbounded", discard: true }
      )
    }
    let further = 0
    for (const [token, { key }] of moves.changes) if (key !== undefined && agenda.key(token) === undefined) further++
    const held = memory.brake.holds(broken, further === 0 ? 0 : agenda.size + further)
    if (held !== undefined) return yield* Effect.fail(new Braked(Codes.text("TRP0308", consumer.name, held)))

    const unkept = new Set(refusals.flatMap(({ incoming }) => (blocking.has(incoming) ? [] : incoming)))
    const { left, passed } = Cut.cut(items, waiting, unkept)
    const later = new Set(left)
    const refused = refusals.filter(({ incoming }) => !later.has(incoming))

    // Positions and rows in the order of reading, so that the order within a key is that of its turns.
    const rows: Array<Commit.OutboxRow> = []
    const needed: Array<Commit.DeadRow> = [...Cursor.gaps(passed)]
    const optional = refused.filter(({ caller }) => caller === undefined).map(Answers.deadRow)
    const replies = refused.flatMap((refusal) => Answers.rejection(consumer, refusal) ?? [])
    let pos = memory.pos
    const stage = ({ body, event, headers, id, stream, subject, text }: Staged): void => {
      pos++
      if (!event) return void rows.push({ pos, stream, id, subject, headers: text, parsed: headers, body })
      const parsed = { ...headers, [Envelope.position]: String(pos) }
      const positioned = `${text.slice(0, -1)},"${Envelope.position}":"${pos}"}`
      rows.push({ pos, stream, id, subject, headers: positioned, parsed, body })
    }
    const answers = new Map<string, Answer>()
    for (const id of new Set(deliveries.map(({ id }) => id))) {
      const one = done.get(id)
      if (one === undefined) continue
      const before = pos
      one.staged.forEach(stage)
      const last = one.staged.findLastIndex(({ event }) => event)
      answers.set(id, Answers.answerOf(one, last < 0 ? undefined : before + last + 1))
      if (one.dead !== undefined) {
        const { code, reason: why } = one.dead
        const row = Answers.deadRow({ incoming: one.delivery.incoming, code, why, caller: undefined })
        if (options.condemned?.code === "TRP0302" || needsLetter(one)) needed.push(row)
        else optional.push(row)
      }
    }
    sent.forEach(stage)
    const tooLate: Array<Incoming> = []
    for (const delivery of deliveries) {
      if (later.has(delivery.incoming)) continue
      // None for a message that is parked.
      const answer = inbox.get(delivery.id) ?? answers.get(delivery.id)
      const { message } = delivery.incoming
      if (answer !== undefined && message.seq > 0 && Attempt.isExpired(answer) && !TooLate.is(message))
        tooLate.push(delivery.incoming)
      const reply = answer === undefined ? undefined : Answers.answerTo(consumer, delivery, answer, memory.fence.p)
      if (reply !== undefined) replies.push(reply)
    }
    return {
      work: {
        fence: memory.fence,
        pos,
        cursors: Cursor.after(memory.cursors, passed, consumer.lanes),
        inbox: [...answers].map(([id, answer]) => ({ id, ...answer })),
        states: [...changed].map(([key, { text, version }]) => ({
          key,
          version,
          shape: consumer.state.version,
          body: text
        })),
        outbox: rows,
        more: {
          watermarks: options.watermarks(),
          ...DeadLetters.fitting(memory.room, needed, optional),
          parked: moves.parked,
          unparked: moves.unparked,
          retried: moves.retried,
          ...Timers.settled([{ timers: [], cleared: moves.fired }, ...done.values()])
        },
        bytes: bytes + moves.bytes
      },
      replies,
      states: changed,
      parked: moves.changes,
      tooLate,
      left
    }
  })

const full = ({ bytes, messages }: Parking.Policy): Attempt.Failure => ({
  code: "TRP0307",
  reason: `over ${messages} messages, or ${bytes} bytes`
})

/** About what it takes in the commit. */
const sizeOf = ({ body, cleared, staged, state, timers }: Attempt.Done): number =>
  [...staged, ...timers].reduce(
    (sum, row) => sum + row.body.length + 1_000,
    500 + (body?.length ?? 0) + (state?.text.length ?? 0) + 300 * cleared.length
  )

// ---------------------------------------------------------------------------------------------------------------------
// what is known already
// ---------------------------------------------------------------------------------------------------------------------

type Known = Entry | { readonly version: number; readonly unreadable: string }

const load = (
  consumer: Consumer,
  memory: Memory,
  deliveries: ReadonlyArray<Delivery>,
  queues: Sorted["queues"],
  { check, condemned }: Pick<Options, "check" | "condemned">
) =>
  Effect.gen(function* () {
    const keys = new Set<string>()
    if (condemned === undefined) for (const { token } of deliveries) if (!memory.cache.has(token)) keys.add(token)
    const ids = check ? new Set(deliveries.map(({ id }) => id)) : []
    const behind = (memory.agenda.size === 0 ? [] : [...queues]).flatMap(([key, queue]) =>
      memory.agenda.key(key) === undefined
        ? []
        : queue.flatMap(({ incoming: { message, waited } }) =>
            waited === undefined ? [{ key, id: Stored.idOf(message.headers) }] : []
          )
    )
    const asks = new Map<string, Parking.Asks>()
    if (keys.size === 0 && behind.length === 0 && (!check || deliveries.length === 0))
      return { asks, inbox: new Map<string, Answer>(), postponed: new Set<string>(), states: new Map<string, Known>() }
    const loader = yield* Loader
    const { copies, inbox, postponed, states } = yield* loader.load({
      consumer: consumer.id,
      p: memory.fence.p,
      ids: [...ids],
      keys: [...keys],
      behind
    })
    for (const { headers, id, key, said } of copies) {
      const ofKey: Parking.Asks = asks.get(key) ?? new Map()
      ofKey.set(id, new Set(ofKey.get(id)).add(Stored.copied(Stored.wire(headers), said)))
      asks.set(key, ofKey)
    }
    const board = yield* Board
    const known = new Map<string, Known>()
    for (const [token, { body, shape, version }] of states) {
      if (Breath.isDue()) yield* Breath.take
      const decoded = shown(board, consumer, queues.get(token)?.[0]?.incoming, () => consumer.state.decode(body, shape))
      known.set(
        token,
        decoded.ok ? { version, value: decoded.value, size: body.length } : { version, unreadable: decoded.why }
      )
    }
    return { asks, inbox, postponed, states: known }
  })

// ---------------------------------------------------------------------------------------------------------------------
// how a turn runs
// ---------------------------------------------------------------------------------------------------------------------

/** Without a transaction: asking for `Db` ends the run, even if the handler catches everything. */
const pure = <A, E>(turn: Effect.Effect<A, E, Db>): Effect.Effect<A, E | CommitLost> =>
  Effect.suspend(() => {
    let asked = false
    const ask = Effect.suspend(() => {
      asked = true
      return Effect.die(new Attempt.NeedsTransaction())
    })
    return Effect.exit(Effect.provideService(turn, Db, Db.of({ query: () => ask, transaction: () => ask }))).pipe(
      Effect.flatMap((exit) => (asked ? Effect.die(new Attempt.NeedsTransaction()) : exit))
    )
  })

/** In a savepoint of the batch's transaction: what fails or is refused leaves nothing behind. */
const inSavepoint =
  (db: Db["Service"]) =>
  <A, E>(turn: Effect.Effect<A, E, Db>): Effect.Effect<A, E | CommitLost> =>
    db.transaction(Effect.provideService(turn, Db, db)).pipe(
      // The connection is gone; or a statement failed that the handler did not mind: then the turn is to blame.
      Effect.catchIf(
        (error) => error instanceof DbError,
        (error): Effect.Effect<never, CommitLost> =>
          isLost(error) ? Effect.fail(new CommitLost({ cause: error })) : Effect.die(error)
      )
    ) as Effect.Effect<A, E | CommitLost>
