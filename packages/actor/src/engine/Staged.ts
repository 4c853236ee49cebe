import { Envelope } from "@troupe/contract"

/** What a turn staged, encoded: a row of the outbox but for its position. */
export interface Staged {
  readonly stream: string
  readonly subject: string
  readonly id: string
  /** An event's are without its position in the lane, which its commit gives out. */
  readonly headers: Envelope.Headers
  /** The headers, as JSON. */
  readonly text: string
  readonly body: string
  readonly event: boolean
}

/** A message of a turn's, as it is sent. */
export const staged = (
  stream: string,
  subject: string,
  envelope: Envelope.Envelope,
  body: string,
  event: boolean
): Staged => {
  const headers = Envelope.toHeaders(envelope)
  return { stream, subject, id: envelope.id, headers, text: JSON.stringify(headers), body, event }
}
