import { maxHeader } from "../Envelope.ts"
import type { Command, Event } from "./Catalog.ts"
import { reference } from "./Component.ts"
import type { JsonSchema } from "./JsonSchema.ts"

/** A gateway takes no longer ones. */
const said = { type: "string", minLength: 1, maxLength: 255 }
const followed = { type: "string", minLength: 1, maxLength: maxHeader }

const attributes = (type: string): JsonSchema => ({
  specversion: { type: "string", const: "1.0" },
  id: { ...said, description: "Names the message for good." },
  source: { ...said, format: "uri-reference", description: "Who says it." },
  type: { type: "string", const: type },
  subject: { ...said, description: "The key of the actor." },
  time: { type: "string", format: "date-time" },
  datacontenttype: { type: "string", const: "application/json" }
})

/** A command as a CloudEvent in structured mode (CloudEvents 1.0, JSON format). `source` and `id` are the idempotency key. */
export const ofCommand = ({ id, payload }: Command): JsonSchema => {
  const empty = !isNeeded(payload.schema)
  return {
    type: "object",
    description: `The command ${id} as a CloudEvent. Its source and id are its idempotency key.`,
    properties: { ...attributes(id), data: { $ref: reference(`${id}.payload`) } },
    required: ["specversion", "id", "source", "type", "subject", ...(empty ? [] : ["data"])],
    additionalProperties: true
  }
}

/** An event as it is emitted: in its newest version, whichever it was said in. */
export const ofEvent = ({ id, versions }: Event): JsonSchema => ({
  type: "object",
  description: `The event ${id} as a CloudEvent, in its newest version.`,
  properties: {
    ...attributes(id),
    id: { ...followed, description: "Names the event for good." },
    dataversion: { type: "integer", const: versions.length, description: "The version of the data." },
    correlationid: { ...followed, description: "The id of the message that began the conversation." },
    causationid: { ...followed, description: "The id of the message that it followed." },
    data: { $ref: reference(`${id}.v${versions.length}`) }
  },
  required: ["specversion", "id", "source", "type", "subject", "time", "dataversion", "data"],
  additionalProperties: true
})

/** Whether a payload has to be sent: an empty body stands for `{}`. */
export const isNeeded = ({ required }: JsonSchema): boolean => Array.isArray(required) && required.length > 0

/** An example of an event. */
export const example = ({ id: type, versions }: Event, key: unknown): JsonSchema => ({
  specversion: "1.0",
  id: "9f1c6c0e-5a3e-4b8e-9a63-0d1d1f3f5a01",
  source: type.slice(0, type.indexOf(".")),
  type,
  subject: key,
  time: "2026-01-31T12:00:00.000Z",
  dataversion: versions.length,
  datacontenttype: "application/json",
  data: versions.at(-1)?.example
})
