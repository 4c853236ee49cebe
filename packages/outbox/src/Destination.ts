import { Nats, Publisher, Topology } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import type { Commit } from "@troupe/postgres/internal"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { FailPoints } from "./FailPoint.ts"

/** Whose outbox it is. */
export interface Origin {
  readonly service: string
  readonly fence: Commit.Fence
  /** Where its own events go, as the stream stores them: `evt.orders.3.Order.>`. None for a consumer that emits none. */
  readonly lane: string | undefined
}

/** One stream that a partition's outbox goes to. */
export interface Destination {
  offer(row: Commit.OutboxRow): void
  /** How far the stream has it, if that has changed since this was last asked. */
  watermark(): Commit.WatermarkRow | undefined
  backlog(): number
}

/** Rows in memory at most; beyond it the table is read. */
const memory = 2_000
/** Rows read from the table at once. */
const page = 500

interface State {
  /** Committed rows that wait, in order of position, all above `published`. */
  queue: Array<Commit.OutboxRow>
  /** The table has rows above `published` that the queue lacks. */
  behind: boolean
  /** The stream has everything up to this position. */
  published: number
  /** The lane's last sequence. */
  sequence: number
  /** When the stream was created. */
  created: string
  dirty: boolean
  /** After a refusal: so many messages go one at a time, each after the acknowledgement of the one before. */
  singles: number
}

/** `lane` for the consumer's own events: the stream itself then says how far it is, and refuses a second writer. */
export const run = (
  origin: Origin,
  stream: string,
  lane: string | undefined
): { readonly destination: Destination; readonly loop: Effect.Effect<never, never, Nats | Sql> } => {
  const state: State = { queue: [], behind: true, published: 0, sequence: 0, created: "", dirty: false, singles: 0 }
  const work = Latch.makeUnsafe(true)
  const destination: Destination = {
    offer: (row) => {
      if (state.queue.length < memory && !state.behind) state.queue.push(row)
      else state.behind = true
      work.openUnsafe()
    },
    watermark: () => {
      if (!state.dirty) return undefined
      state.dirty = false
      return { stream, pos: state.published, sequence: state.sequence, created: state.created }
    },
    backlog: () => state.queue.length + (state.behind ? page : 0)
  }

  /** Looks where the stream is: at the start, and whenever an answer was a refusal or did not come. */
  const locate = Effect.gen(function* () {
    const row = yield* watermarkRow(origin, stream)
    const info = yield* Topology.find(stream)
    if (info === undefined) return yield* Effect.fail(`there is no stream ${stream}`)
    state.created = info.created
    if (lane === undefined) {
      state.published = Math.max(state.published, row?.pos ?? 0)
    } else {
      const last = yield* Publisher.lastOf(stream, lane)
      const position = Number(last?.header("Troupe-Lane-Position"))
      // An empty lane: retention emptied it, or it was lost and is filled again from the table.
      const emptied = row !== undefined && row.created === info.created && row.sequence < info.state.first_seq
      if (last === undefined) state.published = emptied ? row.pos : 0
      else state.published = Number.isSafeInteger(position) && position > 0 ? position : (row?.pos ?? 0)
      state.sequence = last?.sequence ?? 0
    }
    state.queue = []
    state.behind = true
  })

  /** The next rows: from memory, or from the table. */
  const next = Effect.gen(function* () {
    if (state.behind && state.queue.length === 0) {
      // From here on offers are kept again: what is committed after this read is not in it, what is in both is dropped below.
      state.behind = false
      const rows = yield* read(origin, stream, state.published)
      state.queue = rows.length === 0 ? state.queue : [...rows, ...state.queue.filter((row) => row.pos > rows.at(-1)!.pos)]
      if (rows.length === page) {
        state.behind = true
        state.queue = [...rows]
      }
    }
    return state.queue.slice(0, state.singles > 0 ? 1 : Publisher.batchLimit)
  })

  const publish = (rows: ReadonlyArray<Commit.OutboxRow>) =>
    Effect.gen(function* () {
      const { capabilities } = yield* Nats
      const hit = yield* FailPoints
      yield* hit("before publish")
      const messages = rows.map(outgoing)
      const expected = lane === undefined ? undefined : { lane, lastSequence: state.sequence }
      const ack =
        messages.length > 1 && capabilities.atomicBatch
          ? yield* Publisher.batch(messages, expected)
          : yield* Publisher.single(messages[0]!, expected)
      const sent = messages.length > 1 && capabilities.atomicBatch ? rows : rows.slice(0, 1)
      yield* hit("after publish")
      state.queue.splice(0, sent.length)
      state.singles = Math.max(0, state.singles - sent.length)
      state.published = sent.at(-1)!.pos
      state.sequence = Math.max(state.sequence, ack.sequence)
      state.dirty = true
    })

  const step = Effect.gen(function* () {
    yield* work.await
    const rows = yield* next
    if (rows.length === 0) {
      if (!state.behind && state.queue.length === 0) work.closeUnsafe()
      return
    }
    yield* publish(rows)
  })

  const forever = Effect.gen(function* () {
    let failures = 0
    while (true) {
      const exit = yield* Effect.exit(failures === 0 && state.created !== "" ? step : Effect.andThen(locate, step))
      if (exit._tag === "Success") {
        if (failures >= 3) yield* Effect.logInfo(`relay to ${stream}: goes on`)
        failures = 0
        continue
      }
      if (Cause.hasInterrupts(exit.cause)) return yield* Effect.interrupt
      state.singles = Math.min(Math.max(state.queue.length, 1), Publisher.batchLimit)
      failures++
      if (failures === 3) yield* Effect.logWarning(`relay to ${stream} fails, and is tried again`, Cause.squash(exit.cause))
      if (failures > 1) yield* Effect.sleep(Math.min(5_000, 25 * 2 ** failures))
    }
  })
  return { destination, loop: forever.pipe(Effect.annotateLogs({ consumer: origin.fence.consumer, partition: origin.fence.p })) }
}

const outgoing = (row: Commit.OutboxRow): Publisher.Outgoing => ({
  subject: row.subject,
  headers: JSON.parse(row.headers),
  body: row.body,
  id: row.id
})

const read = (origin: Origin, stream: string, after: number) =>
  Effect.flatMap(Sql, (sql) =>
    Effect.tryPromise(async () => {
      const rows = await sql`
        select pos, stream, id, subject, headers, body from troupe.outbox
         where consumer = ${origin.fence.consumer} and p = ${origin.fence.p} and stream = ${stream} and pos > ${after}
         order by pos limit ${page}`
      return rows.map((row) => ({ ...row, pos: Number(row["pos"]) }) as Commit.OutboxRow)
    })
  )

const watermarkRow = (origin: Origin, stream: string) =>
  Effect.flatMap(Sql, (sql) =>
    Effect.tryPromise(async () => {
      const [row] = await sql`
        select pos, sequence, created from troupe.watermark
         where consumer = ${origin.fence.consumer} and p = ${origin.fence.p} and stream = ${stream}`
      return row === undefined
        ? undefined
        : { pos: Number(row["pos"]), sequence: Number(row["sequence"]), created: String(row["created"]) }
    })
  )
