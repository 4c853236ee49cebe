/** What travels with every message: CloudEvents 1.0 in binary mode over NATS headers, W3C trace context, and our own. */
export interface Envelope {
  /** Names the message for good: the key of the inbox, and what `Nats-Msg-Id` begins with. A UUID, or any text that the receiver hashes to one. */
  readonly id: string
  /** `<service>.<Actor>.<command or event>` */
  readonly type: string
  /** The service, or the program, that says it. */
  readonly source: string
  /** The actor's key, not encoded. */
  readonly key?: string | undefined
  /** RFC 3339. */
  readonly time?: string | undefined
  /** Version of an event's payload; 1 when absent. */
  readonly version?: number | undefined
  /** The contract's version; 1 when absent. */
  readonly contract?: number | undefined
  /** The id of the message that began the conversation; its own when absent. */
  readonly correlationId?: string | undefined
  /** The id of the message that this one answers or follows. */
  readonly causationId?: string | undefined
  readonly traceparent?: string | undefined
  /** Where an `ask` waits for its reply: see `isReplyTo`. */
  readonly replyTo?: string | undefined
  /** How long an `ask` waits, in ms from the stream's time of the message; then the command is not handled any more. */
  readonly deadlineMs?: number | undefined
  /** Position of an event in its lane. */
  readonly position?: number | undefined
}

/** NATS headers, one value each. */
export type Headers = { readonly [name: string]: string }

const names: ReadonlyArray<readonly [keyof Envelope, string]> = [
  ["id", "ce-id"],
  ["type", "ce-type"],
  ["source", "ce-source"],
  ["key", "ce-subject"],
  ["time", "ce-time"],
  ["version", "ce-dataversion"],
  ["contract", "Troupe-Contract"],
  ["correlationId", "Troupe-Correlation-Id"],
  ["causationId", "Troupe-Causation-Id"],
  ["traceparent", "traceparent"],
  ["replyTo", "Troupe-Reply-To"],
  ["deadlineMs", "Troupe-Deadline-Ms"],
  ["position", "Troupe-Lane-Position"]
]
/** The header of an event's position in its lane. */
export const position = "Troupe-Lane-Position"
/** The header of the id that a redriven message had first. */
export const origin = "Troupe-Origin-Id"
const numeric: ReadonlySet<keyof Envelope> = new Set(["version", "contract", "deadlineMs", "position"])

/** The envelope as NATS headers; `Nats-Msg-Id` is the publisher's to add. */
export const toHeaders = (envelope: Envelope): Headers => {
  const headers: Record<string, string> = { "ce-specversion": "1.0" }
  for (const [field, name] of names) {
    const value = envelope[field]
    // Percent-encoding (CloudEvents NATS binding, 3.1.3) for what a header cannot carry as it is: space, `"`, `%`, control characters, non-ASCII.
    if (value !== undefined) headers[name] = encodeHeader(String(value))
  }
  return headers
}

/** The longest header that is read, in characters. */
export const maxHeader = 1_000

/** Why headers are no envelope, for a person. */
export interface NoEnvelope {
  readonly why: string
}

/** Reads an envelope. `get` gives a header's value, or nothing. */
export const fromHeaders = (get: (name: string) => string | null | undefined): Envelope | NoEnvelope => {
  for (const forged of foreign) {
    if (get(forged)) return { why: `it carries ${forged}: not published by a client of this stream` }
  }
  const envelope: { -readonly [field in keyof Envelope]?: string | number } = {}
  for (const [field, name] of names) {
    const text = get(name)
    if (!text) continue
    // What follows a message carries its ids: one that fills the server's 64 kB of headers could never be followed.
    if (text.length > maxHeader) return { why: `${name} is longer than ${maxHeader} characters` }
    if (numeric.has(field)) {
      const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
      if (!Number.isSafeInteger(value)) return { why: `${name} is no whole number: ${text.slice(0, 40)}` }
      envelope[field] = value
    } else {
      const value = decodeHeader(text)
      if (value === undefined) return { why: `${name} is not percent-encoded UTF-8: ${text.slice(0, 40)}` }
      envelope[field] = value
    }
  }
  for (const [field, name] of required) if (envelope[field] === undefined) return { why: `${name} is missing` }
  return envelope as unknown as Envelope
}

/** Headers that only a server writes: a message that has one was moved here by somebody's trick. */
export const foreign = ["Nats-Scheduler", "Nats-Stream", "Nats-Subject"]
const required = names.slice(0, 3)

/** A reply goes to `_INBOX.` with two or three further tokens, none of them a wildcard; anything else would let a caller publish elsewhere by our hand. */
export const isReplyTo = (subject: string): boolean =>
  /^_INBOX(\.[^\s.*>]+){2,3}$/.test(subject) && subject.length <= 256

/** Where a trace goes on: the span that caused what follows. */
export interface Span {
  /** 32 hex digits; fewer stand for their end. */
  readonly traceId: string
  /** 16 hex digits. */
  readonly spanId: string
  readonly sampled: boolean
}

/** A span as `traceparent` names it (W3C Trace Context, level 1). */
export const traceparent = ({ sampled, spanId, traceId }: Span): string =>
  `00-${traceId.padStart(32, "0")}-${spanId}-${sampled ? "01" : "00"}`

/** The span that a `traceparent` names, of this version or of a later one; `undefined` when it names none. */
export const readTraceparent = (text: string | undefined): Span | undefined => {
  const [, version, traceId = "", spanId = "", flags = "", more] = w3c.exec(text ?? "") ?? []
  if (version === undefined || version === "ff" || (version === "00" && more !== "")) return undefined
  if (/^0*$/.test(traceId) || /^0*$/.test(spanId)) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}
const w3c = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(|-.*)$/

const encodeHeader = (value: string): string =>
  plain.test(value) ? value : value.toWellFormed().replace(special, (char) => encodeURIComponent(char))
const decodeHeader = (value: string): string | undefined => {
  if (!value.includes("%")) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return undefined
  }
}
const plain = /^[!#$&-~]*$/
const special = /[^!#$&-~]/gu
