import { createHash } from "node:crypto"
import { Envelope } from "@troupe/contract"
import type { Message } from "@troupe/nats"
import { Commit, type Waiting } from "@troupe/postgres/internal"
import type { Incoming } from "./Mailbox.ts"

/** When the stream took it: a message that waits in Postgres keeps its time, and with it its deadline. */
export const time = "Troupe-Stored-At"

/** About what a waiting message takes. */
export const sizeOf = ({ message }: Pick<Incoming, "message">): number => message.data.length + 500

/** Its id, as it is parked. */
export const idOf = (headers: Message.Headers): string => Commit.clean(headers.get("ce-id") ?? "", 1_000)

/** What copies of one id have the same: who hears the reply, and what they say, as `Waiting.copies` hashes it. */
export const copied = (headers: Message.Headers, said: string): string =>
  `${headers.get("Troupe-Reply-To") ?? ""} ${said}`
export const copyOf = ({ data, headers, subject }: Incoming["message"]): string =>
  copied(headers, createHash("sha256").update(`${subject}\0`).update(data).digest("hex"))

/** The whole message, to be parked. */
export const rowOf = ({ message, stream }: Incoming, token: string) => {
  const headers: Record<string, string> = Object.fromEntries(message.headers)
  return {
    key: token,
    message: Commit.clean(headers["ce-id"] ?? "", 1_000),
    origin: headers[Envelope.origin] === undefined ? null : Commit.clean(headers[Envelope.origin], 1_000),
    stream,
    sequence: message.seq,
    subject: message.subject,
    headers: JSON.stringify({ ...headers, [time]: new Date(message.time).toISOString() }),
    body: message.data
  }
}

/** A message that is parked. */
export const parked = ({ attempts, body, headers, key, n, sequence, stream, subject }: Waiting.ParkedRow): Incoming => {
  const parsed = wire(headers)
  return {
    stream,
    message: { seq: sequence, subject, headers: parsed, data: body, time: Date.parse(parsed.get(time) ?? "") || 0 },
    waited: { kind: "parked", key, n, attempts }
  }
}

/** A timer that is due, as if the stream of its partition had its message since its time. */
export const timer = ({ body, due, headers, key, name, stream, subject }: Waiting.TimerRow, p: number): Incoming => {
  const [kind, service, ...rest] = subject.split(".")
  const at = new Date(due)
  return {
    stream,
    message: {
      seq: 0,
      subject: [kind, service, p, ...rest].join("."),
      headers: wire(headers).set("ce-time", at.toISOString()),
      data: body,
      time: at.getTime()
    },
    waited: { kind: "timer", key, name }
  }
}

/** Headers as they are stored. */
export const wire = (headers: string): Map<string, string> => new Map(Object.entries(JSON.parse(headers)))
