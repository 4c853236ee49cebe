import { Codes } from "@troupe/contract"
import { Sql } from "@troupe/postgres"
import { type Commit, Dead } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import { CommitLost } from "./Committer.ts"

/** Maximum dead letters of a consumer. Each of its partitions has an equal share. */
export interface Limits {
  readonly messages: number
  readonly bytes: number
}
export const limits: Limits = { messages: 10_000, bytes: 256 * 1024 ** 2 }

export const shareOf = ({ bytes, messages }: Limits, partitions: number): Limits => ({
  messages: Math.ceil(messages / partitions),
  bytes: Math.ceil(bytes / partitions)
})

/** Share of the room from which on operators are told. */
const much = 0.8

/** The room of a partition for dead letters, as it is in Postgres between two batches. */
export interface Room extends Dead.Kept {
  readonly limits: Limits
}

/** Counted again after each commit that kept or deleted some: the relay and operators change them, too. */
export const room = (
  fence: Pick<Commit.Fence, "consumer" | "p">,
  limits: Limits
): Effect.Effect<Room, CommitLost, Sql> =>
  Effect.flatMap(Sql, (sql) =>
    Effect.map(
      Effect.tryPromise({
        try: () => Dead.kept(sql, fence.consumer, fence.p, limits.messages),
        catch: (cause) => new CommitLost({ cause })
      }),
      (kept) => ({ ...kept, limits })
    )
  )

/** The share of the room that is taken; 1 or more: there is none. */
export const filled = ({ bytes, limits, messages }: Room): number =>
  Math.max(bytes / limits.bytes, messages / limits.messages)

export type Level = "room" | "much" | "full"
export const level = (room: Room): Level => {
  const share = filled(room)
  return share >= 1 ? "full" : share >= much ? "much" : "room"
}

/** For operators, of partitions of one consumer: what the fullest of them has. None: there is room in all of them. */
export const complaint = (
  consumer: string,
  partitions: ReadonlyArray<{ readonly p: number; readonly room: Room | undefined }>
): string | undefined => {
  const [fullest] = partitions
    .flatMap(({ p, room }) => (room === undefined ? [] : [{ p, room }]))
    .sort((a, b) => filled(b.room) - filled(a.room))
  if (fullest === undefined || level(fullest.room) === "room") return undefined
  const { bytes, limits, messages } = fullest.room
  const has = `partition ${fullest.p} has ${messages} of ${limits.messages} messages, ${bytes} of ${limits.bytes} bytes`
  return Codes.text("TRP0519", consumer, has)
}

/** What was given up and not kept, by code. */
type Unkept = { readonly [code: string]: number }

/**
 * Letters as they are committed. Those of `optional` for which there is no room are counted in one letter, the summary, which
 * names the last of them. It takes the place of the summary before.
 */
export const fitting = (
  room: Room | undefined,
  always: ReadonlyArray<Commit.DeadRow>,
  optional: ReadonlyArray<Commit.DeadRow>
): { readonly dead: ReadonlyArray<Commit.DeadRow>; readonly undead: NonNullable<Commit.More["undead"]> } => {
  if (room === undefined) return { dead: [...always, ...optional], undead: [] }
  let { bytes, messages } = room
  const takes = (row: Commit.DeadRow): void => {
    messages++
    bytes += Dead.sizeOf(row)
  }
  always.forEach(takes)
  const kept: Array<Commit.DeadRow> = []
  const left: Array<Commit.DeadRow> = []
  for (const row of optional) {
    // In order: what comes after one that does not fit is not kept either.
    if (left.length > 0 || messages >= room.limits.messages || bytes + Dead.sizeOf(row) > room.limits.bytes) {
      left.push(row)
    } else {
      takes(row)
      kept.push(row)
    }
  }
  const last = left.at(-1)
  if (last === undefined) return { dead: [...always, ...kept], undead: [] }
  return {
    dead: [...always, ...kept, summaryOf(last, added(room.summary?.body, left))],
    undead: room.summary === undefined ? [] : [{ id: room.summary.id }]
  }
}

const added = (before: Uint8Array | undefined, rows: ReadonlyArray<Commit.DeadRow>): Unkept => {
  const counts: Record<string, number> = before === undefined ? {} : JSON.parse(new TextDecoder().decode(before))
  for (const { code } of rows) counts[code] = (counts[code] ?? 0) + 1
  return counts
}

const summaryOf = ({ sequence, stream, subject }: Commit.DeadRow, counts: Unkept): Commit.DeadRow => {
  const codes = Object.entries(counts).map(([code, count]) => `${count} of ${code}`)
  return {
    key: null,
    message: null,
    origin: null,
    stream,
    sequence,
    // No subject of a message: it stands for many.
    subject: subject.split(".").slice(0, 3).join("."),
    headers: "{}",
    body: new TextEncoder().encode(JSON.stringify(counts)),
    code: Dead.summary,
    reason: `${codes.join(", ")}; the last was ${sequence} of ${stream}`
  }
}
