import { reference } from "./Component.ts"
import type { JsonSchema } from "./JsonSchema.ts"
import { problemName } from "./Problem.ts"

/** What all commands share: headers of requests and of answers, and the problems that any request may meet. */

const text = (description: string, schema: JsonSchema = {}): JsonSchema => ({
  description,
  schema: { type: "string", ...schema }
})

export const parameters: { readonly [name: string]: JsonSchema } = {
  IdempotencyKey: {
    name: "Idempotency-Key",
    in: "header",
    ...text(
      "Names this request for good: the same one again is answered again, and handled once. 1 to 255 printable ASCII characters, in quotes if one is a space. Without it, a request that is repeated may be handled twice.",
      { pattern: String.raw`^(?:"(?:[ !#-\[\]-~]|\\["\\])+"|[!#-~]+)$` }
    )
  },
  Prefer: {
    name: "Prefer",
    in: "header",
    ...text(
      "RFC 7240. `wait=N`: wait at most N seconds for the answer, 10 by default. `respond-async`: do not wait; the answer is had by the same request again, under the same Idempotency-Key."
    ),
    examples: { wait: { value: "wait=10" }, "respond-async": { value: "respond-async" } }
  },
  Traceparent: {
    name: "traceparent",
    in: "header",
    ...text("W3C Trace Context: the trace that this request belongs to.", {
      pattern: "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$"
    })
  },
  LastEventId: {
    name: "Last-Event-ID",
    in: "header",
    ...text("The `id` of the last event that was heard: what follows it comes next, without a gap or a repeat.")
  },
  From: {
    name: "from",
    in: "query",
    ...text(
      "Where to begin, without a Last-Event-ID: `start` for all that is kept, a time (RFC 3339, of 1970 to 2262), or the `id` of an event. Default: `now`."
    ),
    examples: { start: { value: "start" }, time: { value: "2026-01-31T12:00:00Z" } }
  }
}

/** The attributes of a CloudEvent in binary mode. */
export const attributes: ReadonlyArray<JsonSchema> = [
  ["ce-specversion", "Binary mode: `1.0`.", { const: "1.0" }],
  ["ce-id", "Binary mode: with ce-source the idempotency key.", { minLength: 1 }],
  ["ce-source", "Binary mode: who sends it.", { minLength: 1 }],
  ["ce-type", "Binary mode: the command, `<service>.<Actor>.<command>`.", { minLength: 1 }],
  ["ce-subject", "Binary mode: the key of the actor.", { minLength: 1 }]
].map(([name, description, schema]) => ({
  name,
  in: "header",
  ...text(description as string, schema as JsonSchema)
}))

export const headers: { readonly [name: string]: JsonSchema } = {
  Attribute: text("CloudEvents 1.0, binary mode: an attribute, percent-encoded.", { minLength: 1 }),
  Consistency: text(
    "The consistency token: a program with Troupe's client waits by it until a projection shows what the command did."
  ),
  MessageId: text("The id that the command has in Troupe.", { format: "uuid" }),
  PreferenceApplied: text("RFC 7240: which preference was applied."),
  RetryAfter: { description: "After how many seconds to try again.", schema: { type: "integer", minimum: 0 } },
  Authenticate: text("RFC 6750: how to authenticate, and what is wrong with the token.")
}

const header = (name: string): JsonSchema => ({ $ref: `#/components/headers/${name}` })
/** On the reply to a CloudEvent: it is one, too. */
export const replied: JsonSchema = Object.fromEntries(
  ["ce-specversion", "ce-id", "ce-type", "ce-source", "ce-subject"].map((name) => [name, header("Attribute")])
)
/** On every answer to a command that got as far as a message. */
export const answered: JsonSchema = {
  "Troupe-Message-Id": header("MessageId"),
  "Preference-Applied": header("PreferenceApplied")
}
/** On the reply. */
export const done: JsonSchema = { ...answered, "Troupe-Consistency": header("Consistency") }

const problem = (description: string, headers: JsonSchema = {}): JsonSchema => ({
  description,
  headers,
  content: { "application/problem+json": { schema: { $ref: reference(problemName) } } }
})
const retryAfter = { "Retry-After": header("RetryAfter") }

export const responses: { readonly [name: string]: JsonSchema } = {
  Accepted: {
    description: "The service's stream has it (`Prefer: respond-async`).",
    headers: answered,
    content: { "application/json": { schema: { $ref: reference("Sent") } } }
  },
  BadRequest: problem(
    "The payload is not what the contract declares, or the key is none, or the body is no JSON.",
    answered
  ),
  Unauthorized: problem("There is no token, or it is wrong or expired.", {
    "WWW-Authenticate": header("Authenticate")
  }),
  Forbidden: problem("The token does not permit it."),
  NotFound: problem("There is no such service, actor or command.", answered),
  Conflict: problem("Its time was over before it was handled: under this Idempotency-Key it will not be.", answered),
  Gone: problem("What followed this place is not kept any more: begin anew, with `from`."),
  TooLarge: problem("The body is too large.", answered),
  UnsupportedMediaType: problem("The body is of a media type that is not taken here."),
  TooManyRequests: problem("Too many requests.", retryAfter),
  Unavailable: problem("It cannot be sent now. Nothing was sent: try again.", { ...answered, ...retryAfter }),
  TimedOut: problem(
    "No answer in time. It may have been handled: the same request under the same Idempotency-Key is safe, and says so.",
    answered
  ),
  Problem: problem("Anything else.", answered)
}

/** The responses by their status. */
export const byStatus = (...names: ReadonlyArray<keyof typeof statuses>): JsonSchema =>
  Object.fromEntries(names.map((name) => [statuses[name], { $ref: `#/components/responses/${name}` }]))
const statuses = {
  Accepted: "202",
  BadRequest: "400",
  Unauthorized: "401",
  Forbidden: "403",
  NotFound: "404",
  Conflict: "409",
  Gone: "410",
  TooLarge: "413",
  UnsupportedMediaType: "415",
  TooManyRequests: "429",
  Unavailable: "503",
  TimedOut: "504",
  Problem: "default"
} as const

/** The answer to `Prefer: respond-async`. */
export const sent: JsonSchema = {
  type: "object",
  properties: { id: { type: "string", format: "uuid", description: "The id that the command has in Troupe." } },
  required: ["id"],
  additionalProperties: true
}
