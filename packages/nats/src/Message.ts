import type { JsMsg } from "@nats-io/jetstream"
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

/** Read once: the client's own message looks each header up in a list, and cuts its payload out anew each time. */
export const of = (message: JsMsg): Message => {
  const { streamSequence, timestampNanos } = message.info
  return {
    seq: streamSequence,
    subject: message.subject,
    headers: headersOf(message),
    data: message.data,
    time: Math.round(timestampNanos / 1_000_000)
  }
}

/** Cut out of the bytes: the list that the client makes of headers is a fifth of all that a turn leaves to be collected. */
const headersOf = (message: JsMsg): Headers => {
  const { _msg, _rdata } = (message as unknown as { readonly msg: MsgImpl }).msg
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
