import { Envelope, Subject } from "@troupe/contract"
import { Publisher } from "@troupe/nats"
import type { DeadLetters } from "@troupe/postgres"
import { type Commit, Wishes } from "@troupe/postgres/internal"

/** What becomes of the dead letters of turns: those of the relay go back into the outbox. */
export interface Turns {
  /** Has it handled once more. */
  readonly redrive: (letter: Wishes.Letter) => DeadLetters.WishResult
  /** It is no more. */
  readonly discard: (letter: Wishes.Letter) => void
}

/** Wishes as a commit does them, under the fence of the partition whose newest position is `pos`. */
export const grant = (
  wishes: ReadonlyArray<Wishes.Wish>,
  pos: number,
  turns: Turns
): Pick<Commit.Work, "pos" | "outbox"> & { readonly more: Pick<Commit.More, "undead" | "wishes"> } => {
  const outbox: Array<Commit.OutboxRow> = []
  const undead = new Set<number>()
  const grantOne = ({ kind, letter }: Wishes.Wish): DeadLetters.WishResult => {
    if (letter === undefined || undead.has(letter.id)) return { code: "TRP0601", why: "it is gone" }
    const unpublished = letter.sequence === 0 && Subject.parse(letter.subject) === undefined
    let result: DeadLetters.WishResult = { messageId: letter.renamed }
    if (kind === "discard") turns.discard(letter)
    else if (unpublished) outbox.push(rowOf(letter, pos + outbox.length + 1))
    else result = turns.redrive(letter)
    if ("messageId" in result) undead.add(letter.id)
    return result
  }
  const answers = wishes.map((wish) => Wishes.answered(wish.id, grantOne(wish)))
  return {
    pos: pos + outbox.length,
    outbox,
    more: { undead: [...undead].map((id) => ({ id })), wishes: answers }
  }
}

/** The headers of a message under its new id: nobody waits for its reply any longer. */
export const headersOf = (letter: Wishes.Letter): Record<string, string> => {
  const {
    "Troupe-Deadline-Ms": _,
    "Troupe-Reply-To": __,
    // It names the message that was given up.
    [Publisher.messageId]: ___,
    ...headers
  }: Record<string, string> = JSON.parse(letter.headers)
  return { ...headers, [Envelope.origin]: originOf(letter), "ce-id": letter.renamed }
}

export const originOf = (letter: Wishes.Letter): string => letter.origin ?? letter.message ?? ""

const rowOf = (letter: Wishes.Letter, pos: number): Commit.OutboxRow => {
  const headers = headersOf(letter)
  if ("Troupe-Lane-Position" in headers) headers["Troupe-Lane-Position"] = String(pos)
  return {
    pos,
    stream: letter.stream,
    id: letter.renamed,
    subject: letter.subject,
    headers: JSON.stringify(headers),
    body: new TextDecoder().decode(letter.body)
  }
}
