import { Id } from "@troupe/contract"
import { Nats, Publisher, Topology } from "@troupe/nats"
import type { Sql } from "@troupe/postgres"
import type { Commit } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import type { Origin } from "./Destination.ts"
import * as Kept from "./Kept.ts"

/** How a stream takes many messages at once, in order. The fastest that it offers. */
export type Mode = "ingest" | "batch" | "single"

/** Where a stream is: how far it has what is in the outbox for it. */
export interface Position {
  /** It has everything up to here. */
  readonly published: number
  /** The stream's sequence there; of a lane its last sequence. */
  readonly sequence: number
  /** The last message of the lane, as the stream names it. */
  readonly subject: string | undefined
  /** When the stream was created. */
  readonly created: string
  readonly mode: Mode
  /** What `troupe.watermark` says. */
  readonly written: Commit.WatermarkRow | undefined
  /** The stream lacks messages that it had acknowledged. */
  readonly lost: boolean
}

/**
 * Of a consumer's own events: the last message of the lane says it. `reached` is what this process knows to be there,
 * beyond what is written.
 */
export const ofLane = (
  origin: Origin,
  stream: string,
  lane: string,
  reached: Commit.WatermarkRow | undefined
): Effect.Effect<Position, unknown, Nats | Sql> =>
  Effect.gen(function* () {
    const found = yield* inspect(origin, stream, reached)
    const { mark } = found
    const last = yield* Publisher.lastOf(stream, lane)
    const sequence = last?.sequence ?? 0
    const same = mark === undefined || mark.created === found.created
    if (last === undefined) {
      // An empty lane: retention emptied it, or it was lost and is filled again from the table.
      const emptied = mark !== undefined && same && mark.sequence < found.firstSequence
      return {
        ...found,
        published: emptied ? mark.pos : 0,
        sequence,
        subject: undefined,
        lost: !!mark?.pos && !emptied
      }
    }
    // Behind the lane's last message there may be rows that were given up.
    const said = positionOf(last)
    const position = said === 0 || (same && mark?.sequence === sequence) ? Math.max(mark?.pos ?? 0, said) : said
    const lost = mark !== undefined && (!same || mark.sequence > sequence)
    return { ...found, published: position, sequence, subject: last.subject, lost }
  })

/**
 * Of commands: the watermark says it, if the message that it speaks of is still there. When the stream lacks that, it has
 * lost an unknown number of them, and everything that is kept goes out again: position 0. So it does when the watermark
 * names no message.
 */
export const ofCommands = (
  origin: Origin,
  stream: string,
  reached: Commit.WatermarkRow | undefined
): Effect.Effect<Position, unknown, Nats | Sql> =>
  Effect.gen(function* () {
    const found = yield* inspect(origin, stream, reached)
    const { mark } = found
    // Without a sequence nothing can be compared: all that went there were repeats, or were given up. That is no loss.
    const state =
      mark === undefined || mark.pos === 0 || mark.sequence === 0 ? "unknown" : yield* look(origin, mark, found)
    const { pos, sequence } = state === "there" ? mark! : { pos: 0, sequence: 0 }
    return { ...found, published: pos, sequence, subject: undefined, lost: state === "lost" }
  })

/**
 * Whether the stream still is where the watermark says: at that sequence it has the last row up to that position. Another
 * row of this outbox may be there because the last ones were repeats, which the acknowledgement does not name; or because
 * the stream lost messages, and some of them went out again.
 */
const look = (
  origin: Origin,
  mark: Commit.WatermarkRow,
  { created, lastSequence }: { readonly created: string; readonly lastSequence: number }
): Effect.Effect<"there" | "unknown" | "lost", unknown, Nats | Sql> =>
  Effect.gen(function* () {
    if (mark.created !== created || mark.sequence > lastSequence) return "lost"
    const message = yield* Publisher.at(mark.stream, mark.sequence)
    // Purged: it was handled long ago. A stream that was set back has no hole there, but another message, or nothing yet;
    // unless the watermark is of a database that was set back as well, and the other message was purged since.
    if (message === undefined) return origin.setBack ? "unknown" : "there"
    const ids = yield* Kept.idsUpTo(origin, mark.stream, mark.pos)
    if (ids.length === 0) return "there"
    const place = ids.indexOf(Id.ofPublished(message.header(Publisher.messageId)).toLowerCase())
    return place === 0 ? "there" : place > 0 ? "unknown" : "lost"
  })

const inspect = (origin: Origin, stream: string, reached: Commit.WatermarkRow | undefined) =>
  Effect.gen(function* () {
    const { capabilities } = yield* Nats
    const written = yield* Kept.watermark(origin, stream)
    const info = yield* Topology.find(stream)
    if (info === undefined) return yield* Effect.fail(`there is no stream ${stream}`)
    const mode: Mode =
      capabilities.fastIngest && info.config.allow_batched === true
        ? "ingest"
        : capabilities.atomicBatch && info.config.allow_atomic === true
          ? "batch"
          : "single"
    const mark = reached !== undefined && reached.pos > (written?.pos ?? 0) ? reached : written
    const { first_seq: firstSequence, last_seq: lastSequence } = info.state
    return { written, mark, mode, created: info.created, firstSequence, lastSequence }
  })

/** The position that an event says it has in its lane; 0 when it says none. */
const positionOf = (message: Publisher.Stored | undefined): number => {
  const position = Number(message?.header("Troupe-Lane-Position"))
  return Number.isSafeInteger(position) ? position : 0
}
