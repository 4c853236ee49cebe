import { Codes, Subject } from "@troupe/contract"
import { History, type Message, type Nats, Publisher } from "@troupe/nats"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Consumer } from "./Consumer.ts"
import { isMessage, type Item } from "./Mailbox.ts"
import * as Stored from "./Stored.ts"

// A caller that hears that its command was too late (TRP0212) may send it under another id. So the command must never be
// handled, not even when the database is set back and forgets that answer. Its stream remembers it: the command is deleted
// there, and in its place comes a copy that says so, before the caller is told.

/** On the copy of a command: it was answered that it was too late. */
const header = "Troupe-Too-Late"

/** Whether a message says of a command that it was too late. */
export const is = ({ headers }: Pick<Message.Message, "headers">): boolean => headers.get(header) !== undefined

/** How long the stream has for all of them. */
const bound = "2 seconds"

/** Of a caller, and of the server: not for a copy. */
const left: ReadonlySet<string> = new Set(["Troupe-Reply-To", Stored.time])

/** Has the streams remember it. Where one does not, the callers hear of it all the same, and the log does. */
export const remember = (
  consumer: Pick<Consumer, "name">,
  commands: ReadonlyArray<Item>
): Effect.Effect<void, never, Nats> => {
  const messages = commands.filter(isMessage)
  const places = messages.map(({ message, stream }) => ({
    stream,
    sequence: message.seq,
    id: message.headers.get("ce-id") ?? ""
  }))
  return History.forget(places).pipe(
    Effect.andThen(Effect.forEach(messages, ({ message }) => copy(message), { concurrency: 64, discard: true })),
    Effect.timeout(bound),
    Effect.catch((error) => Effect.logWarning(Codes.text("TRP0321", consumer.name, String(error))))
  )
}

const copy = ({ data, headers, subject }: Message.Message): Effect.Effect<void, Publisher.PublishError, Nats> => {
  const parts = Subject.parse(subject)
  if (parts === undefined) return Effect.void
  const kept = [...headers].filter(([name]) => !name.startsWith("Nats-") && !left.has(name))
  // Copies of one ask may be too late together: the server refuses the second while it stores the first (10158).
  return Effect.asVoid(
    Effect.retry(
      Publisher.single({
        // Without the partition, which the stream puts in.
        subject: subject.split(".").toSpliced(2, 1).join("."),
        headers: { ...Object.fromEntries(kept), [header]: "1" },
        body: new TextDecoder().decode(data),
        // Not the id of its first publish, which the stream may still know.
        id: `${headers.get("ce-id")}.late`
      }),
      Schedule.spaced("50 millis").pipe(Schedule.upTo({ times: 20 }))
    )
  )
}
