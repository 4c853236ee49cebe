import type { Msg } from "@nats-io/nats-core"
import type { MsgImpl } from "@nats-io/nats-core/internal"

/** A message as a stream has it. */
export interface Message {
  readonly seq: number
  readonly subject: string
  readonly headers: Headers
  readonly data: Uint8Array
  /** The stream's time, ms since 1970. */
  readonly time: number
}
/** The first value of each header. */
export type Headers = ReadonlyMap<string, string>

/** What a server says of a message that it delivers. */
export interface Info {
  readonly seq: number
  /** How many messages its consumer has delivered, with it. */
  readonly delivered: number
  /** The stream's time, ms since 1970. */
  readonly time: number
  /** How many more its consumer has to deliver. */
  readonly pending: number
}

/** Reads `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<times>.<seq>.<delivered>.<ns>.<pending>` (nats-server ADR-15). */
export const infoOf = (reply: string): Info | undefined => {
  const tokens = reply.split(".")
  const at = tokens.length > 9 ? 7 : 5
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK" || tokens.length < at + 4) return undefined
  const [seq = 0, delivered = 0, ns = 0, pending = 0] = tokens.slice(at, at + 4).map(Number)
  return { seq, delivered, time: Math.round(ns / 1_000_000), pending }
}

/** Read once: the client's own message looks each header up in a list, and cuts its payload out anew each time. */
export const of = (message: Msg, { seq, time }: Info): Message => ({
  seq,
  subject: message.subject,
  headers: headersOf(message),
  data: message.data,
  time
})

/** Cut out of the bytes: the list that the client makes of headers is a fifth of all that a turn leaves to be collected. */
const headersOf = (message: Msg): Headers => {
  const { _msg, _rdata } = message as MsgImpl
  const headers = new Map<string, string>()
  if (_msg.hdr <= 0) return headers
  // The first line is the version.
  const [, ...lines] = utf8.decode(_rdata.subarray(0, _msg.hdr)).split("\r\n")
  for (const line of lines) {
    const colon = line.indexOf(":")
    if (colon < 0) continue
    const name = line.slice(0, colon)
    if (!headers.has(name)) headers.set(name, line.slice(colon + 1).trim())
  }
  return headers
}
const utf8 = new TextDecoder()
