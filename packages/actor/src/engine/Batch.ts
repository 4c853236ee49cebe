import { Envelope } from "@troupe/contract"
import { Db } from "@troupe/postgres"
import type { Commit } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Answers from "./Answers.ts"
import * as Attempt from "./Attempt.ts"
import type { Cache, Entry } from "./Cache.ts"
import type { CommitLost } from "./Committer.ts"
import type { Consumer } from "./Consumer.ts"
import { Deadlines } from "./Deadlines.ts"
import { type Delivery, open, type Refusal } from "./Delivery.ts"
import { type Answer, Loader } from "./Loader.ts"
import * as Cursor from "./Cursor.ts"
import { isMessage, type Item } from "./Mailbox.ts"
import * as Timers from "./Timers.ts"
import * as Tracing from "./Tracing.ts"

/** What the owner of a partition knows between two commits. */
export interface Memory {
  readonly fence: Commit.Fence
  readonly pos: number
  readonly cursors: Commit.Cursors
  readonly cache: Cache
  /** For so many batches the inbox is asked before handlers run: lately messages came again. */
  readonly wary: number
}

/** A batch that ran, ready to be committed; and what is to be done once it is. */
export interface Handled {
  readonly work: Commit.Work
  readonly replies: ReadonlyArray<Answers.Outgoing>
  readonly states: ReadonlyMap<string, Entry>
}

export interface Options {
  readonly maxPayload: number
  /** Inside a transaction of the partition's: handlers may use `Db`, and run one after another on its connection. */
  readonly transaction: boolean
  /** Ask the inbox before handlers run. Without it the commit finds what was handled before, and writes nothing. */
  readonly check: boolean
  /** Why the messages are given up without being run: Postgres refused what they wanted. */
  readonly condemned?: string | undefined
  readonly watermarks: () => ReadonlyArray<Commit.WatermarkRow>
}

/** A batch stages more than one commit should carry: it is to be halved. */
export class TooMuch {}
/** Bytes that a batch may stage, but for a single message. */
const stagedLimit = 16 * 1024 ** 2

/**
 * Runs the turns of a batch: in order within a key, keys side by side. Nothing is written here.
 * Fails with `NeedsTransaction` when a handler asks for `Db` in a pure run.
 */
export const handle = (
  consumer: Consumer,
  memory: Memory,
  items: ReadonlyArray<Item>,
  options: Options
): Effect.Effect<Handled, CommitLost | Attempt.NeedsTransaction | TooMuch, Loader | Db> =>
  Effect.gen(function* () {
    const deliveries: Array<Delivery> = []
    const refusals: Array<Refusal> = []
    for (const one of items.filter(isMessage)) {
      const opened = open(consumer, one)
      if (opened === undefined) continue
      if ("code" in opened) refusals.push(opened)
      else deliveries.push(opened)
    }
    const { inbox, states } = yield* load(consumer, memory, deliveries, options.check)

    const fresh = new Map<string, Delivery>()
    for (const delivery of deliveries) {
      if (!inbox.has(delivery.id) && !fresh.has(delivery.id)) fresh.set(delivery.id, delivery)
    }
    const deadlines = yield* Deadlines
    const keys = Map.groupBy(fresh.values(), ({ token }) => token)
    const done = new Map<string, Attempt.Done>()
    let bytes = 0
    const transact = options.transaction ? inSavepoint(yield* Db) : pure
    const changed = new Map<string, Entry & { readonly text: string }>()
    yield* Effect.forEach(
      keys,
      ([token, queue]) =>
        Effect.gen(function* () {
          const loaded = memory.cache.get(token) ??
            states.get(token) ?? { version: 0, value: consumer.initial, size: 0 }
          let value = "unreadable" in loaded ? undefined : loaded.value
          for (const delivery of queue) {
            const one =
              options.condemned !== undefined
                ? Attempt.given(delivery, { code: "TRP0306", reason: options.condemned })
                : "unreadable" in loaded
                  ? Attempt.given(delivery, { code: "TRP0304", reason: loaded.unreadable })
                  : (yield* deadlines.over(delivery))
                    ? Attempt.expired(delivery)
                    : yield* Tracing.turn(consumer, delivery, (traced) =>
                        Attempt.run(consumer, traced, value, options.maxPayload, transact)
                      )
            done.set(delivery.id, one)
            bytes += sizeOf(one)
            if (bytes > stagedLimit && fresh.size > 1) return yield* Effect.fail(new TooMuch())
            if (one.state !== undefined) {
              value = one.state.value
              changed.set(token, {
                version: loaded.version + 1,
                value,
                size: one.state.text.length,
                text: one.state.text
              })
            }
          }
        }),
      { concurrency: options.transaction ? 1 : "unbounded", discard: true }
    )

    // Positions and rows in the order of reading, so that the order within a key is that of its turns.
    const rows: Array<Commit.OutboxRow> = []
    const dead: Array<Commit.DeadRow> = [
      ...Cursor.gaps(items),
      ...refusals.filter(({ caller }) => caller === undefined).map(Answers.deadRow)
    ]
    const replies = refusals.flatMap((refusal) => Answers.rejection(consumer, refusal) ?? [])
    let pos = memory.pos
    for (const delivery of fresh.values()) {
      const one = done.get(delivery.id)!
      for (const { body, envelope, event, stream, subject } of one.staged) {
        const headers = Envelope.toHeaders(event ? { ...envelope, position: ++pos } : { ...envelope })
        if (!event) pos++
        rows.push({ pos, stream, id: envelope.id, subject, headers: JSON.stringify(headers), parsed: headers, body })
      }
      if (one.dead !== undefined) {
        dead.push(
          Answers.deadRow({ incoming: delivery.incoming, code: one.dead.code, why: one.dead.reason, caller: undefined })
        )
      }
    }
    for (const delivery of deliveries) {
      const answer = inbox.get(delivery.id) ?? Answers.answerOf(done.get(delivery.id)!)
      const reply = Answers.answerTo(consumer, delivery, answer)
      if (reply !== undefined) replies.push(reply)
    }
    const all = [...done.values()]
    return {
      work: {
        fence: memory.fence,
        pos,
        cursors: Cursor.after(memory.cursors, items),
        inbox: all.map((one) => ({ id: one.delivery.id, ...Answers.answerOf(one) })),
        states: [...changed].map(([key, { text, version }]) => ({
          key,
          version,
          shape: consumer.state.version,
          body: text
        })),
        outbox: rows,
        more: { watermarks: options.watermarks(), dead, ...Timers.settled(all) },
        bytes
      },
      replies,
      states: changed
    }
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

const load = (consumer: Consumer, memory: Memory, deliveries: ReadonlyArray<Delivery>, check: boolean) =>
  Effect.gen(function* () {
    const keys = new Set<string>()
    for (const { token } of deliveries) if (!memory.cache.has(token)) keys.add(token)
    const ids = check ? new Set(deliveries.map(({ id }) => id)) : []
    if (keys.size === 0 && (!check || deliveries.length === 0))
      return { inbox: new Map<string, Answer>(), states: new Map<string, Known>() }
    const loader = yield* Loader
    const { inbox, states } = yield* loader.load({
      consumer: consumer.id,
      p: memory.fence.p,
      ids: [...ids],
      keys: [...keys]
    })
    const known = [...states].map(([token, { body, shape, version }]): [string, Known] => {
      const decoded = consumer.state.decode(body, shape)
      return [
        token,
        decoded.ok ? { version, value: decoded.value, size: body.length } : { version, unreadable: decoded.why }
      ]
    })
    return { inbox, states: new Map(known) }
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
      // The savepoint itself failed, or a statement that the handler did not mind: the turn is to blame, or the server.
      Effect.catchIf(
        (error): error is Extract<typeof error, { readonly _tag: "DbError" }> =>
          typeof error === "object" && error !== null && "_tag" in error && error._tag === "DbError",
        (error) => Effect.die(error)
      )
    ) as Effect.Effect<A, E | CommitLost>
