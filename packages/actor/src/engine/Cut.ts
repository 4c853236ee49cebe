import { Envelope } from "@troupe/contract"
import { type Incoming, isMessage, type Item } from "./Mailbox.ts"

/** A batch of which some messages were not begun: what is committed of it, and what stays at hand. */
export interface Cut {
  /** Of each stream all items in front of the first message that was not begun: the cursors move past these. */
  readonly passed: ReadonlyArray<Item>
  /**
   * All others that were read from a stream, in the order of reading. Of a message that is done only its place is left:
   * the inbox has it, or the table of parked messages, should somebody read it again.
   */
  readonly left: ReadonlyArray<Item>
}

/**
 * `waiting`: messages that were not begun. `unkept`: messages that are done, but of which nothing is kept that would tell
 * so if they were read again; behind a waiting one they are left as they are. What waited in Postgres is due there again,
 * unless a turn of the batch changed that.
 */
export const cut = (items: ReadonlyArray<Item>, waiting: ReadonlySet<Incoming>, unkept: ReadonlySet<Incoming>): Cut => {
  if (waiting.size === 0) return { passed: items, left: [] }
  const passed: Array<Item> = []
  const left: Array<Item> = []
  const behind = new Set<string>()
  for (const item of items) {
    if (item.position === undefined) continue
    const waits = isMessage(item) && waiting.has(item)
    if (waits) behind.add(item.stream)
    if (!behind.has(item.stream)) passed.push(item)
    else left.push(!isMessage(item) || waits || unkept.has(item) ? item : placeOf(item))
  }
  return { passed, left }
}

const placeOf = ({ message, position, stream }: Incoming): Item => {
  const [, service, , actor = ""] = message.subject.split(".", 4)
  const lane = Number(message.headers.get(Envelope.position))
  return {
    stream,
    position: position!,
    ...(Number.isSafeInteger(lane) ? { lane: { actor: `${service}.${actor}`, position: lane } } : {})
  }
}
