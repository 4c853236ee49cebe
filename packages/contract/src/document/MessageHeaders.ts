import * as Envelope from "../Envelope.ts"
import type { Outcome } from "../Reply.ts"
import type { JsonSchema } from "./JsonSchema.ts"

/** The NATS headers of messages, as JSON Schema: `Envelope` says what they mean. */

const text = (description: string, schema: JsonSchema = {}): JsonSchema => ({
  type: "string",
  minLength: 1,
  maxLength: Envelope.maxHeader,
  description,
  ...schema
})
const whole = { pattern: "^[0-9]{1,16}$" }

const always = (type?: string): JsonSchema => ({
  "ce-specversion": text("CloudEvents.", { const: "1.0" }),
  "ce-id": text("Names the message for good. Any text; best a UUID."),
  "ce-type": text("What it is.", type === undefined ? {} : { const: type }),
  "ce-source": text("The service, or the program, that says it."),
  "ce-time": text("When it was said (RFC 3339). Without it: when the stream took it."),
  "Troupe-Causation-Id": text("The id of the message that this one answers or follows."),
  traceparent: text("W3C Trace Context.", { pattern: "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}" })
})
const required = ["ce-id", "ce-type", "ce-source"]

/** What commands and events have. A message with one of the forbidden headers was not published by a client. */
const stored = (contract: number): JsonSchema => ({
  "ce-subject": text("The key, percent-encoded where a header cannot have it. Without it: the one in the subject."),
  "Troupe-Contract": text(`The version of the contract that the sender has: ${contract} now. Without it: 1.`, whole),
  "Troupe-Correlation-Id": text("The id of the message that began the conversation. Without it: its own."),
  "Nats-Msg-Id": text(
    "For the duplicate window of the stream: the ce-id; with an ending for a retry, and for a hash of what a message says that nobody waits for."
  ),
  ...Object.fromEntries(Envelope.foreign.map((name) => [name, false]))
})

export const ofCommand = (type: string, contract: number): JsonSchema => ({
  type: "object",
  properties: {
    ...always(type),
    ...stored(contract),
    "Troupe-Reply-To": text("Where the answer goes: an inbox.", {
      pattern: "^_INBOX(\\.[^\\s.*>]+){2,3}$",
      maxLength: 256
    }),
    "Troupe-Deadline-Ms": text("It is not handled so many ms after the stream took it.", whole)
  },
  required
})

export const ofEvent = (type: string, contract: number, version: number): JsonSchema => ({
  type: "object",
  properties: {
    ...always(type),
    ...stored(contract),
    "ce-dataversion": text(`The version of the payload.${version === 1 ? " Without it: 1." : ""}`, {
      const: String(version)
    }),
    [Envelope.position]: text("Its position among the events of this actor type and partition.", whole)
  },
  required: version === 1 ? required : [...required, "ce-dataversion"]
})

/** An answer says the type of its command. */
export const ofAnswer = (outcome: Outcome, type?: string): JsonSchema => ({
  type: "object",
  properties: {
    ...always(type),
    "Troupe-Outcome": text("Which answer it is.", { const: outcome })
  },
  required: [...required, "Troupe-Causation-Id", "Troupe-Outcome"]
})
