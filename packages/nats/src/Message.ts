import type { JsMsg } from "@nats-io/jetstream"

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
  const headers = new Map<string, string>()
  for (const [name, [value = ""]] of message.headers ?? []) headers.set(name, value)
  const { streamSequence, timestampNanos } = message.info
  return {
    seq: streamSequence,
    subject: message.subject,
    headers,
    data: message.data,
    time: Math.round(timestampNanos / 1_000_000)
  }
}
