import { Codes } from "@troupe/contract"
import { Nats, Publisher, Topology } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import type { Commit } from "@troupe/postgres/internal"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { FailPoints } from "./FailPoint.ts"
import { published } from "./Published.ts"

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
  /** How far the stream has it, if that is further than what is written. */
  watermark(): Commit.WatermarkRow | undefined
  /** The watermark is written up to this position. */
  written(pos: number): void
}

/** In memory at most; beyond it the table is read. */
const memory = { rows: 2_000, bytes: 8 * 1024 ** 2 }
/** Read from the table at once. */
const page = { rows: 500, bytes: 4 * 1024 ** 2 }

interface State {
  /** Committed rows that wait, in order of position, all above `published`. */
  queue: Array<Commit.OutboxRow>
  /** Characters of the queue's bodies. */
  bytes: number
  /** The table has rows above `published` that the queue lacks. */
  behind: boolean
  /** The stream has everything up to this position. */
  published: number
  /** `troupe.watermark` says this position. */
  written: number
  /** The lane's last sequence. */
  sequence: number
  /** When the stream was created. */
  created: string
  /** After a refusal: so many messages go one at a time, each after the acknowledgement of the one before. */
  singles: number
}

/** `lane` for the consumer's own events: the stream itself then says how far it is, and refuses a second writer. */
export const run = (
  origin: Origin,
  stream: string,
  lane: string | undefined
): { readonly destination: Destination; readonly loop: Effect.Effect<never, never, Nats | Sql> } => {
  const state: State = {
    queue: [],
    bytes: 0,
    behind: true,
    published: 0,
    written: 0,
    sequence: 0,
    created: "",
    singles: 0
  }
  const work = Latch.makeUnsafe(true)
  const destination: Destination = {
    offer: (row) => {
      if (state.queue.length < memory.rows && state.bytes < memory.bytes && !state.behind) {
        state.queue.push(row)
        state.bytes += row.body.length
      } else state.behind = true
      work.openUnsafe()
    },
    watermark: () =>
      state.published > state.written
        ? { stream, pos: state.published, sequence: state.sequence, created: state.created }
        : undefined,
    written: (pos) => {
      state.written = Math.max(state.written, pos)
    }
  }
  const keep = (queue: ReadonlyArray<Commit.OutboxRow>): void => {
    state.queue = [...queue]
    state.bytes = queue.reduce((sum, row) => sum + row.body.length, 0)
  }

  /** Looks where the stream is: at the start, and whenever an answer was a refusal or did not come. */
  const locate = Effect.gen(function* () {
    const row = yield* watermarkRow(origin, stream)
    const info = yield* Topology.find(stream)
    if (info === undefined) return yield* Effect.fail(`there is no stream ${stream}`)
    state.created = info.created
    state.written = row?.pos ?? 0
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
    keep([])
    state.behind = true
  })

  /** The next rows: from memory, or from the table. */
  const next = Effect.gen(function* () {
    if (state.behind && state.queue.length === 0) {
      // From here on offers are kept again: what is committed after this read is not in it, what is in both is dropped below.
      state.behind = false
      const { complete, rows } = yield* read(origin, stream, state.published)
      if (complete) keep([...rows, ...state.queue.filter((row) => row.pos > (rows.at(-1)?.pos ?? 0))])
      else {
        state.behind = true
        keep(rows)
      }
    }
    return state.singles > 0 ? state.queue.slice(0, 1) : portion(state.queue)
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
      yield* published(stream, sent.length)
      passed(sent)
      state.singles = Math.max(0, state.singles - sent.length)
      state.sequence = Math.max(state.sequence, ack.sequence)
    })
  const passed = (rows: ReadonlyArray<Commit.OutboxRow>): void => {
    keep(state.queue.slice(rows.length))
    state.published = rows.at(-1)!.pos
  }

  /** A message that the stream will never take is kept as a dead letter: all that wait behind it would wait for ever. */
  const giveUp = (row: Commit.OutboxRow, why: string) =>
    Effect.gen(function* () {
      const sql = yield* Sql
      yield* Effect.logWarning(Codes.text("TRP0207", row.subject, why))
      // Once: an own event stays above the lane's last position, and is met again at each take-over while it is kept.
      yield* Effect.tryPromise(
        () => sql`insert into troupe.dead (consumer, p, key, message_id, stream, sequence, subject, headers, body, code, reason)
          select ${origin.fence.consumer}::int, ${origin.fence.p}::int, ${row.subject.split(".").at(-1) ?? null}::text,
            ${row.id}::text, ${stream}::text, 0, ${row.subject}::text, ${row.headers}::text, ${Buffer.from(row.body)}::bytea,
            'TRP0207', ${why}::text
           where not exists (select from troupe.dead d
             where d.consumer = ${origin.fence.consumer} and d.message_id = ${row.id} and d.sequence = 0)`
      )
      passed([row])
    })

  const step = Effect.gen(function* () {
    yield* work.await
    const rows = yield* next
    if (rows.length === 0) {
      if (!state.behind && state.queue.length === 0) work.closeUnsafe()
      return
    }
    const { capabilities } = yield* Nats
    const large = rows.findIndex((row) => sizeOf(row) > capabilities.maxPayload)
    if (large === 0)
      return yield* giveUp(rows[0]!, `${sizeOf(rows[0]!)} bytes, over max_payload ${capabilities.maxPayload}`)
    yield* Effect.catchIf(
      publish(large < 0 ? rows : rows.slice(0, large)),
      (error) => rows.length === 1 && isForGood(error),
      (error) => giveUp(rows[0]!, String(error))
    )
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
      if (failures === 3)
        yield* Effect.logWarning(`relay to ${stream} fails, and is tried again`, Cause.squash(exit.cause))
      if (failures > 1) yield* Effect.sleep(Math.min(5_000, 25 * 2 ** failures))
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

const sizeOf = (row: Commit.OutboxRow): number => Buffer.byteLength(row.body) + row.headers.length + 512

/** As many rows as fit one batch. */
const portion = (queue: ReadonlyArray<Commit.OutboxRow>): ReadonlyArray<Commit.OutboxRow> => {
  let bytes = 0
  const end = queue.findIndex((row) => (bytes += row.body.length) > page.bytes)
  return queue.slice(0, Math.min(end < 0 ? queue.length : Math.max(end, 1), Publisher.batchLimit))
}

const outgoing = (row: Commit.OutboxRow): Publisher.Outgoing => ({
  subject: row.subject,
  headers: JSON.parse(row.headers),
  body: row.body,
  id: row.id
})

/** The next rows after a position; `complete` when there are no more. */
const read = (origin: Origin, stream: string, after: number) =>
  Effect.flatMap(Sql, (sql) =>
    Effect.tryPromise(async () => {
      const found = await sql`
        select * from (
          select *, sum(length(body)) over (order by pos) - length(body) as before, count(*) over () as found from (
            select pos, stream, id, subject, headers, body from troupe.outbox
             where consumer = ${origin.fence.consumer} and p = ${origin.fence.p} and stream = ${stream} and pos > ${after}
             order by pos limit ${page.rows}) rows) sized
         where before < ${page.bytes} order by pos`
      const rows = found.map((row) => ({ ...row, pos: Number(row["pos"]) }) as Commit.OutboxRow)
      const all = Number(found[0]?.["found"] ?? 0)
      return { rows, complete: all < page.rows && rows.length === all }
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
