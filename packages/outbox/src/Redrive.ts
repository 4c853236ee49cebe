import { Envelope, Key, Subject } from "@troupe/contract"
import { Publisher } from "@troupe/nats"
import type { DeadLetters } from "@troupe/postgres"
import { type Commit, Wishes } from "@troupe/postgres/internal"

/** What becomes of the dead letters of turns. Those of the relay, and those for an actor that the service did not have, go into the outbox. */
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
    const subject = publishedTo(letter)
    let result: DeadLetters.WishResult = { messageId: letter.renamed }
    if (kind === "discard") turns.discard(letter)
    else if (subject !== undefined) outbox.push(rowOf(letter, subject, pos + outbox.length + 1))
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

/** Where a letter is published to; `undefined`: it is handled by the partition that gave it up. */
const publishedTo = ({ code, sequence, subject }: Wishes.Letter): string | undefined => {
  const stored = Subject.parse(subject)
  if (stored === undefined) return sequence === 0 ? subject : undefined
  const { actor, key, kind, name, service } = stored
  // The service may have the actor now, and then the actor's own partition handles it.
  return code === "TRP0418" ? Subject.published(kind, service, actor, name, Key.encode(key)!) : undefined
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

const rowOf = (letter: Wishes.Letter, subject: string, pos: number): Commit.OutboxRow => {
  const headers = headersOf(letter)
  if ("Troupe-Lane-Position" in headers) headers["Troupe-Lane-Position"] = String(pos)
  return {
    pos,
    stream: letter.stream,
    id: letter.renamed,
    subject,
    headers: JSON.stringify(headers),
    body: new TextDecoder().decode(letter.body)
  }
}
