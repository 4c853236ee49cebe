import { Codes, Reason } from "@troupe/contract"
import { Nats, Publisher, whileConnected } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import { type Commit, Lease } from "@troupe/postgres/internal"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { FailPoints } from "./FailPoint.ts"
import * as Kept from "./Kept.ts"
import * as Position from "./Position.ts"
import { published } from "./Published.ts"
import { Rows } from "./Rows.ts"

type Row = Commit.OutboxRow

/** Whose outbox it is. */
export interface Origin {
  readonly service: string
  readonly fence: Commit.Fence
  /** Where its own events go, as the stream stores them: `evt.orders.3.Order.>`. None for a consumer that emits none. */
  readonly lane: string | undefined
  /** Its database was set back: its watermarks may be of an earlier time than its streams. */
  readonly setBack: boolean
}

/** One stream that a partition's outbox goes to. */
export interface Destination {
  offer(row: Row): void
  /** How far the stream has it, if that is further than what is written. */
  ahead(): Commit.WatermarkRow | undefined
  /** How far the stream has it, if that is not what is written: less, once it lost messages. */
  watermark(): Commit.WatermarkRow | undefined
  written(row: Commit.WatermarkRow): void
  /** Positions that the stream does not have yet: at least as many as rows that wait. */
  backlog(): number
  /** It takes messages: the last attempt did not fail. */
  takes(): boolean
  /** The server may have come back with less than it had: look where the stream is before anything newer goes out. */
  locate(): void
}

/** In memory at most; beyond it the table is read. */
const memory = { rows: 2_000, bytes: 8 * 1024 ** 2 }
/** Published at once. */
const portion = { rows: Publisher.batchLimit, bytes: Kept.page.bytes }
/** From so many rows on an atomic batch costs less than single messages one after another. */
const worthBatch = 100
/** How long, in ms, single messages are published after the server refused a batch because of the batches of others. */
const crowdedMs = 5_000
/** Single messages of different keys that are on their way at once. */
const keysAtOnce = 64
/** An owner that paused for longer than this, in ms, has its whole lane compared before it goes on. */
const fresh = 1_000

interface State {
  /** Committed rows that wait, in order of position, all above `published`. */
  readonly queue: Rows
  /** The table has rows above `published` that the queue lacks. */
  behind: boolean
  /** What is committed while a page is read; none when no page is read, or when it became too much. */
  late: Array<Row> | undefined
  /** The newest position that is known of. */
  newest: number
  /** The stream has everything up to this position. */
  published: number
  /** The stream's sequence there. */
  sequence: number
  /** The lane's last message, as the stream names it, and when it was acknowledged (monotonic ms). */
  subject: string | undefined
  at: number
  created: string
  mode: Position.Mode
  written: Commit.WatermarkRow | undefined
  /** How often to look where the stream is, and how often that was done. */
  wanted: number
  located: number
  /** After a refusal or no answer: messages go one by one, until they are all new to the stream. */
  careful: boolean
  /** The stream takes no batches until then (monotonic ms): others have as many under way as the server allows. */
  crowdedUntil: number
  failures: number
}

/**
 * `lane` for the consumer's own events: the stream itself then says how far it is, and refuses a second writer. `newest`
 * is the newest position that the table has for it.
 */
export const run = (
  origin: Origin,
  stream: string,
  lane: string | undefined,
  newest: number
): { readonly destination: Destination; readonly loop: Effect.Effect<never, never, Nats | Sql> } => {
  const state: State = {
    queue: new Rows(),
    behind: true,
    late: undefined,
    newest,
    published: 0,
    sequence: 0,
    subject: undefined,
    at: 0,
    created: "",
    mode: "single",
    written: undefined,
    wanted: 1,
    located: 0,
    careful: false,
    crowdedUntil: 0,
    failures: 0
  }
  const work = Latch.makeUnsafe(true)
  /** Ends the wait after a failure. */
  const back = Latch.makeUnsafe(false)
  const reached = (): Commit.WatermarkRow => {
    const { created, published: pos, sequence } = state
    return { stream, pos, sequence, created }
  }
  const destination: Destination = {
    offer: (row) => {
      // Read from the table before its commit was told.
      if (row.pos <= state.newest) return
      state.newest = row.pos
      const { late, queue } = state
      if (!state.behind && queue.length < memory.rows && queue.bytes < memory.bytes) queue.push(row)
      else if (late !== undefined && late.length < memory.rows) late.push(row)
      else {
        state.behind = true
        state.late = undefined
      }
      work.openUnsafe()
    },
    ahead: () => (state.published > (state.written?.pos ?? 0) ? reached() : undefined),
    watermark: () => {
      const { created, published, sequence, written } = state
      const same = written === undefined ? published === 0 : published === written.pos && sequence === written.sequence
      return state.located === 0 || (same && created === (written?.created ?? created)) ? undefined : reached()
    },
    written: (row) => {
      state.written = row
    },
    backlog: () => Math.max(0, state.newest - state.published),
    takes: () => state.failures === 0,
    locate: () => {
      state.wanted++
      work.openUnsafe()
      back.openUnsafe()
    }
  }

  const locate = Effect.gen(function* () {
    const { wanted } = state
    const known = state.located === 0 ? undefined : reached()
    const found =
      lane === undefined
        ? yield* Position.ofCommands(origin, stream, known)
        : yield* Position.ofLane(origin, stream, lane, known)
    const { created, lost, mode, published, sequence, subject, written } = found
    if (lost)
      yield* Effect.logWarning(Codes.text("TRP0411", lane ?? stream, `publishing goes on after position ${published}`))
    Object.assign(state, { created, mode, published, sequence, subject, written, at: 0 })
    state.newest = Math.max(state.newest, published)
    state.queue.clear()
    state.behind = true
    state.located = wanted
  })

  /** Reads the next page from the table, behind what is in memory. */
  const fill = Effect.gen(function* () {
    const late: Array<Row> = (state.late = [])
    const { complete, rows } = yield* Kept.read(origin, stream, state.queue.last?.pos ?? state.published)
    for (const row of rows) state.queue.push(row)
    const last = state.queue.last?.pos ?? state.published
    state.newest = Math.max(state.newest, last)
    // Memory goes on where the table ends, if it has kept everything since.
    if (complete && state.late === late) {
      state.behind = false
      for (const row of late) if (row.pos > last) state.queue.push(row)
    }
    state.late = undefined
  })

  const expected = (now: number): Publisher.Expectation | undefined => {
    if (lane === undefined) return undefined
    // Its last message says as much as the whole lane, for as long as nobody else can have become the owner.
    const filter = state.subject !== undefined && now - state.at < fresh ? state.subject : lane
    return { filter, lastSequence: state.sequence }
  }

  /** What the stream has of these rows, in order: the first `count`. */
  const acknowledged = (rows: ReadonlyArray<Row>, ack: Publisher.Ack, now: number): number => {
    const count = Math.min(rows.length, ack.count)
    passed(rows[count - 1]!, count)
    if (count < rows.length || ack.duplicate) state.careful = true
    if (lane === undefined) state.sequence = ack.sequence
    // The id is known, but nothing says that its message is still in the lane.
    else if (ack.duplicate) state.subject = undefined
    else {
      state.sequence = ack.sequence
      state.subject = stored(lane, rows[count - 1]!.subject)
      state.at = now
    }
    return count
  }
  const passed = (row: Row, count: number): void => {
    state.queue.drop(count)
    state.published = row.pos
  }

  const publish = (rows: ReadonlyArray<Row>) =>
    Effect.gen(function* () {
      const hit = yield* FailPoints
      yield* hit("before publish")
      yield* Lease.check
      const now = Number((yield* Clock.monotonicTimeNanos) / 1_000_000n)
      const together = state.mode === "ingest" ? 2 : state.mode === "batch" ? worthBatch : Number.POSITIVE_INFINITY
      const alone = state.careful || rows.length < together || now < state.crowdedUntil
      const ack = alone ? undefined : yield* batch(rows, now)
      if (ack?.count === 0) return yield* Effect.fail("the stream took none of them")
      const sent =
        ack !== undefined
          ? acknowledged(rows, ack, now)
          : yield* lane === undefined ? singlesByKey(rows) : singles(rows)
      yield* hit("after publish")
      yield* published(stream, sent)
    })

  /** All rows at once; `undefined` if the server refused them because of the batches of others: it has none of them. */
  const batch = (rows: ReadonlyArray<Row>, now: number) => {
    const send = state.mode === "ingest" ? Publisher.ingest : Publisher.batch
    return Effect.catchIf(send(rows.map(outgoing), expected(now)), isCrowded, () => {
      state.crowdedUntil = now + crowdedMs
      // The refusal may have taken its time.
      return Effect.as(Lease.check, undefined)
    })
  }

  /** Own events, each after the acknowledgement of the one before: a later one in the lane would hide that it is missing. */
  const singles = (rows: ReadonlyArray<Row>) =>
    Effect.gen(function* () {
      const { careful } = state
      state.careful = false
      for (const row of rows) {
        const now = Number((yield* Clock.monotonicTimeNanos) / 1_000_000n)
        const ack = yield* single(row, expected(now))
        if (ack === undefined) passed(row, 1)
        else acknowledged([row], ack, now)
        // One that went well is enough to go on with all others at once.
        if (careful) return 1
      }
      return rows.length
    })

  /** Commands, one unacknowledged for each key. */
  const singlesByKey = (rows: ReadonlyArray<Row>) =>
    Effect.gen(function* () {
      const acks = new Map<Row, Publisher.Ack>()
      const keys = Map.groupBy(rows, keyOf)
      yield* Effect.forEach(
        keys.values(),
        (queue) =>
          Effect.forEach(
            queue,
            (row) => Effect.map(single(row, undefined), (ack) => ack !== undefined && acks.set(row, ack)),
            { discard: true }
          ),
        { concurrency: keysAtOnce, discard: true }
      )
      const last = rows.findLast((row) => acks.has(row))
      if (last !== undefined) state.sequence = acks.get(last)!.sequence
      passed(rows.at(-1)!, rows.length)
      state.careful = [...acks.values()].some(({ duplicate }) => duplicate)
      return acks.size
    })

  const single = (row: Row, expected: Publisher.Expectation | undefined) =>
    Effect.catchIf(Publisher.single(outgoing(row), expected), isForGood, (error) =>
      Effect.as(giveUp(row, Reason.chain(error)), undefined)
    )

  /** A message that the stream will never take is kept as a dead letter: all that wait behind it would wait for ever. */
  const giveUp = (row: Row, why: string) =>
    Effect.gen(function* () {
      const sql = yield* Sql
      yield* Effect.logWarning(Codes.text("TRP0207", row.subject, why))
      const { consumer, p, token } = origin.fence
      // Once: an own event stays above the lane's last position, and is met again at each take-over while it is kept. By
      // the owner only: the stream may take it from the next one, and redriven it would be there twice.
      const [answer] = yield* Effect.tryPromise(
        () => sql`with ours as materialized (
            select from troupe.partition where consumer = ${consumer} and p = ${p} and token = ${token}::uuid for key share),
          kept as (
            insert into troupe.dead (consumer, p, key, message_id, stream, sequence, subject, headers, body, code, reason)
            select ${consumer}::int, ${p}::int, ${keyOf(row)}::text,
              ${row.id}::text, ${stream}::text, 0, ${row.subject}::text, ${row.headers}::text, ${Buffer.from(row.body)}::bytea,
              'TRP0207', ${why}::text
              from ours where not exists (select from troupe.dead d
               where d.consumer = ${consumer} and d.message_id = ${row.id} and d.sequence = 0))
          select exists (select from ours) as mine`
      )
      if (answer?.["mine"] !== true) return yield* Effect.fail(`partition ${p} has another owner`)
    })

  /** Whether it came further: to know where the stream is does not say that it takes anything. */
  const step = Effect.gen(function* () {
    yield* work.await
    if (state.located !== state.wanted) return yield* Effect.as(whileConnected(locate), false)
    const { queue } = state
    // And then looks again whether to publish at all.
    if (queue.length === 0 && state.behind) return yield* Effect.as(fill, false)
    const rows = queue.portion(portion)
    if (rows.length === 0) {
      work.closeUnsafe()
      return true
    }
    const { capabilities } = yield* Nats
    const large = rows.findIndex((row) => isTooLarge(row, capabilities.maxPayload))
    if (large === 0) {
      const [row] = rows as [Row]
      yield* giveUp(row, `${sizeOf(row)} bytes, over max_payload ${capabilities.maxPayload}`)
      passed(row, 1)
      return true
    }
    const sent = publish(large < 0 ? rows : rows.slice(0, large))
    // The next page is read while this one is published.
    if (state.behind && queue.length === rows.length) yield* Effect.all([sent, fill], { concurrency: 2, discard: true })
    else yield* sent
    return true
  })

  const forever = Effect.gen(function* () {
    while (true) {
      const exit = yield* Effect.exit(step)
      if (exit._tag === "Success") {
        if (!exit.value) continue
        if (state.failures >= 3) yield* Effect.logInfo(`relay to ${stream}: goes on`)
        state.failures = 0
        continue
      }
      if (Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.interrupt
      destination.locate()
      state.late = undefined
      state.careful = true
      state.failures++
      if (state.failures === 3)
        yield* Effect.logWarning(`relay to ${stream} fails, and is tried again`, Reason.chain(exit.cause))
      back.closeUnsafe()
      if (state.failures > 1)
        yield* Effect.raceFirst(Effect.sleep(Math.min(5_000, 25 * 2 ** state.failures)), back.await)
    }
  })
  return {
    destination,
    loop: forever.pipe(Effect.annotateLogs({ consumer: origin.fence.consumer, partition: origin.fence.p }))
  }
}

/** JetStream's 10054: larger than the stream's `max_msg_size`. */
const isForGood = (error: unknown): boolean =>
  error instanceof Publisher.PublishError && error.reason._tag === "Refused" && error.reason.code === 10054

/**
 * JetStream's answers to a batch when too many are under way on its stream, 50 atomic ones (10210) or 1,000 of fast ingest
 * (10211), whoever began them. The last message of an atomic batch gets 10176 then: those before it were refused.
 */
const isCrowded = (error: unknown): boolean =>
  error instanceof Publisher.PublishError &&
  error.reason._tag === "Refused" &&
  [10176, 10210, 10211].includes(error.reason.code)

const sizeOf = (row: Row): number => Buffer.byteLength(row.body) + row.headers.length + 512
/** Most are far from it: a character has 3 bytes at most. */
const isTooLarge = (row: Row, limit: number): boolean =>
  row.body.length * 3 + row.headers.length + 512 > limit && sizeOf(row) > limit

const keyOf = (row: Row): string => row.subject.slice(row.subject.lastIndexOf(".") + 1)

/** `evt.orders.Order.placed.7` as the stream stores it in the lane `evt.orders.3.Order.>`. */
const stored = (lane: string, subject: string): string => lane.slice(0, -1) + subject.split(".").slice(3).join(".")

const outgoing = (row: Row): Publisher.Outgoing => {
  const headers: Publisher.Outgoing["headers"] = row.parsed ?? JSON.parse(row.headers)
  return { subject: row.subject, headers, body: row.body, id: headers[Publisher.messageId] ?? row.id }
}
