import { Key, Subject } from "@troupe/contract"
import { Redrive } from "@troupe/outbox"
import type { Commit, Wishes } from "@troupe/postgres/internal"
import type { Handled, Memory } from "./Batch.ts"
import * as Parking from "./Parking.ts"
import * as Stored from "./Stored.ts"

/** What operators wished, as a commit: a redriven message is parked in front of its key, and its time has come. */
export const grant = (
  memory: Memory,
  wishes: ReadonlyArray<Wishes.Wish>,
  watermarks: ReadonlyArray<Commit.WatermarkRow>
): Handled => {
  const moves = new Parking.Moves()
  const again = new Map<string, Array<Wishes.Letter>>()
  const keyOf = (token: string) => {
    const change = moves.changes.get(token)
    return change === undefined ? memory.agenda.key(token) : change.key
  }
  /** A letter that held up its key does so no longer. */
  const release = (letter: Wishes.Letter, token: string): void => {
    const key = keyOf(token)
    if (letter.blocker === undefined || key === undefined) return
    moves.unparked.push({ key: token, n: letter.blocker })
    const rest = { ...key, count: key.count - 1, bytes: key.bytes - sizeOf(letter) }
    const first = letter.blocker === letter.head
    moves.changes.set(token, {
      key: rest.count === 0 ? undefined : first ? { ...rest, head: undefined } : rest,
      delay: first ? 0 : undefined
    })
  }
  const granted = Redrive.grant(wishes, memory.pos, {
    redrive: (letter) => {
      const token = tokenOf(letter)
      if (token === undefined) return { code: "TRP0604", why: "its subject has no key" }
      release(letter, token)
      again.set(token, [...(again.get(token) ?? []), letter])
      return { messageId: letter.renamed }
    },
    discard: (letter) => {
      const token = tokenOf(letter)
      if (token !== undefined) release(letter, token)
    }
  })
  for (const [token, letters] of again) {
    const key = keyOf(token) ?? { head: undefined, next: 1, count: 0, bytes: 0 }
    const first = (letters[0]!.head ?? letters.length + 1) - letters.length
    for (const [i, letter] of letters.entries()) moves.parked.push(rowOf(letter, token, first + i, i === 0 ? 0 : null))
    moves.changes.set(token, {
      key: {
        head: first,
        // The last that was parked may have been the one that is let go.
        next: Math.max(key.next, first + letters.length),
        count: key.count + letters.length,
        bytes: letters.reduce((sum, letter) => sum + sizeOf(letter), key.bytes)
      },
      delay: 0
    })
  }
  const { parked, unparked } = moves
  return {
    work: {
      fence: memory.fence,
      pos: granted.pos,
      cursors: memory.cursors,
      inbox: [],
      states: [],
      outbox: granted.outbox,
      more: { ...granted.more, watermarks, parked, unparked },
      bytes: wishes.reduce((sum, { letter }) => sum + 2 * (letter?.body.length ?? 0) + 2_000, 0)
    },
    replies: [],
    states: new Map(),
    parked: moves.changes,
    tooLate: [],
    left: memory.left
  }
}

const sizeOf = ({ body }: Wishes.Letter): number => body.length + 500

const tokenOf = ({ subject }: Wishes.Letter): string | undefined => {
  const key = Subject.parse(subject)?.key
  return key === undefined ? undefined : Key.encode(key)
}

const rowOf = (letter: Wishes.Letter, token: string, n: number, delay: number | null): Commit.ParkedRow => ({
  key: token,
  n,
  attempts: 0,
  delay,
  message: letter.renamed,
  origin: Redrive.originOf(letter),
  stream: letter.stream,
  sequence: letter.sequence,
  subject: letter.subject,
  headers: JSON.stringify({ [Stored.time]: new Date(letter.at).toISOString(), ...Redrive.headersOf(letter) }),
  body: letter.body,
  code: letter.code,
  reason: letter.reason
})
