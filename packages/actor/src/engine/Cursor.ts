import { Codes, Envelope } from "@troupe/contract"
import { type Nats, type Position, Publisher, whileConnected } from "@troupe/nats"
import type { Commit, Ownership } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import { isMessage, type Item, type Mailbox } from "./Mailbox.ts"
import type { Progress } from "./Progress.ts"

/**
 * The cursors once the items are handled: where reading was last, be it further or, after a loss, before. `heard`: the
 * actors whose lanes are followed.
 */
export const after = (
  cursors: Commit.Cursors,
  items: ReadonlyArray<Item>,
  heard: ReadonlySet<string>
): Commit.Cursors => {
  const moved: { [stream: string]: Commit.Cursor } = { ...cursors }
  for (const item of items) {
    const { position, stream } = item
    if (position === undefined) continue
    const before = moved[stream]
    const lanes = lanesAfter(before?.lanes, item, heard)
    // A stream that lost messages gives their sequences to others. What is to be handled again is read again all the same.
    const lost = !isMessage(item) && item.lost === true
    const redo = lost && before?.redo !== undefined && before.redo <= before.seq ? undefined : before?.redo
    moved[stream] = {
      ...position,
      ...(lanes === undefined ? {} : { lanes }),
      ...(redo === undefined ? {} : { redo })
    }
  }
  return moved
}

/**
 * The last positions of lanes after an item. A stream that lost messages may have lost what they stand for: they are
 * learned anew, from what is read again, and so a position may also go back.
 */
const lanesAfter = (
  lanes: Commit.Lanes | undefined,
  item: Item,
  heard: ReadonlySet<string>
): Commit.Lanes | undefined => {
  if (!isMessage(item)) {
    const { lane, lost } = item
    if (lost === true) return undefined
    return lane !== undefined && heard.has(lane.actor)
      ? { ...lanes, [lane.actor.slice(lane.actor.indexOf(".") + 1)]: lane.position }
      : lanes
  }
  if (heard.size === 0) return undefined
  const { headers, subject } = item.message
  const [, service, , actor = ""] = subject.split(".", 4)
  const position = Number(headers.get(Envelope.position))
  return heard.has(`${service}.${actor}`) && Number.isSafeInteger(position) ? { ...lanes, [actor]: position } : lanes
}

/** Whether a commit of the items would write the mark that is there. */
export const stays = (cursors: Commit.Cursors, items: ReadonlyArray<Item>): boolean =>
  items.every((item) => {
    if (isMessage(item) || item.gap !== undefined) return false
    const { id, seq } = item.position
    return cursors[item.stream]?.seq === seq && cursors[item.stream]?.id === id
  })

/** What is missing between the items, to be kept as dead letters: an operator finds them there. */
export const gaps = (items: ReadonlyArray<Item>): ReadonlyArray<Commit.DeadRow> =>
  items.flatMap((item) => (isMessage(item) || item.gap === undefined ? [] : [item.gap]))

/** Takes what a reader says of its stream: a finding is told, and the cursor moves, after all that was read before. */
export const follow =
  (progress: Progress, mailbox: Mailbox, stream: string, filter: string) =>
  (position: Position.Position, finding: Position.Finding | undefined): Effect.Effect<void> =>
    Effect.gen(function* () {
      if (finding !== undefined) yield* tell(progress, finding.code, stream, finding.why)
      const gap = finding?.code === "TRP0407" ? missing(stream, filter, position, finding) : undefined
      const lost = finding?.code === "TRP0408"
      yield* Effect.promise(async () => mailbox.offer({ stream, position, gap, lost }))
    })

const missing = (
  stream: string,
  filter: string,
  { seq }: Position.Position,
  { code, why }: Position.Finding
): Commit.DeadRow => ({
  key: null,
  message: null,
  origin: null,
  stream,
  sequence: seq,
  subject: filter,
  headers: "{}",
  body: new Uint8Array(),
  code,
  reason: why
})

/** The last position that a lane has. */
const published = (stream: string, lane: string) =>
  Effect.map(Publisher.lastOf(stream, lane), (last) => {
    const position = Number(last?.header(Envelope.position))
    return Number.isSafeInteger(position) ? position : 0
  })

/** Whether a partition that was just taken shows that its database was set back. In doubt it does not. */
export const isSetBack = (
  { n }: Pick<Progress, "n">,
  { fence, pos }: Ownership.Taken,
  stream: string,
  lane: string | undefined
): Effect.Effect<boolean, Publisher.PublishError | Publisher.Unanswered, Nats> =>
  fence.n < n || lane === undefined
    ? Effect.succeed(fence.n < n)
    : Effect.map(published(stream, lane), (last) => last > pos)

/**
 * A partition as it was taken, or as it must be gone on with: a database that was set back (a restored copy, an
 * asynchronous failover) gives out positions again that the lane has. It goes on behind the lane's last one, so that
 * what is handled again is published, under the same ids, and not taken for published. `setBack`: this is known of it, from
 * this partition or from another.
 */
export const taken = <T extends Ownership.Taken & { readonly setBack: boolean }>(
  progress: Progress,
  taken: T,
  stream: string,
  lane: string | undefined
): Effect.Effect<T, Publisher.PublishError | Publisher.Unanswered, Nats> =>
  Effect.gen(function* () {
    const { fence, pos } = taken
    const last = lane === undefined ? 0 : yield* whileConnected(published(stream, lane))
    const why =
      last > pos
        ? `it gave out position ${pos}, ${lane} has ${last}`
        : fence.n < progress.n
          ? `commit ${progress.n} was known, its last is ${fence.n}`
          : taken.setBack
            ? "other partitions show it"
            : undefined
    if (why === undefined) return taken
    yield* tell(progress, "TRP0509", progress.consumer.name, why)
    return { ...taken, pos: Math.max(pos, last), setBack: true }
  })

const tell = (progress: Progress, code: Codes.Code, to: string, why: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    progress.notice = Codes.text(code, `${to}, partition ${progress.p}`, why)
    return Effect.logWarning(progress.notice)
  })
