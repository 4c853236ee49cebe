import type { Problem } from "./Problem.ts"

/** A command that came as a CloudEvent 1.0, by its HTTP binding. */
export interface CloudEvent {
  /** `orders.Order.place` */
  readonly type: string
  /** The actor's key. */
  readonly subject: string
  /** With `id` the idempotency key: an id is its source's own (CloudEvents 1.0, `id`). */
  readonly source: string
  readonly id: string
  /** JSON. */
  readonly data: string
}

const bad = (why: string): Problem => ({ status: 400, code: "TRP0710", why })

/** In structured mode: one JSON object. */
export const structured = (text: string): CloudEvent | Problem => {
  const event = parse(text)
  if (event === undefined) return { status: 400, code: "TRP0704", why: "it is no JSON object" }
  const contentType = event["datacontenttype"] ?? "application/json"
  if (contentType !== "application/json" || event["data_base64"] !== undefined)
    return { status: 415, code: "TRP0703", why: "the data of the CloudEvent is no application/json" }
  return checked((name) => event[name], JSON.stringify(event["data"] ?? {}))
}

/** In binary mode: the attributes are headers, percent-encoded (HTTP binding, 3.1.3.2), and the body is the data. */
export const binary = (headers: Headers, body: string): CloudEvent | Problem => {
  try {
    return checked((name) => decodeURIComponent(headers.get(`ce-${name}`) ?? ""), body)
  } catch {
    return bad("a ce- header is not percent-encoded UTF-8")
  }
}

const checked = (attribute: (name: string) => unknown, data: string): CloudEvent | Problem => {
  if (attribute("specversion") !== "1.0") return bad("specversion of the CloudEvent is not 1.0")
  const [type, source, subject, id] = ["type", "source", "subject", "id"].map(attribute)
  for (const [name, value] of Object.entries({ type, source, subject, id }))
    if (typeof value !== "string" || value === "" || value.length > 255)
      return bad(`${name} of the CloudEvent is no text of 1 to 255 characters`)
  return { type, source, subject, id, data } as CloudEvent
}

const parse = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

/** The headers of a reply as a CloudEvent in binary mode. */
export const replyHeaders = (type: string, key: string, id: string): Readonly<Record<string, string>> => ({
  "ce-specversion": "1.0",
  "ce-id": `${id}.reply`,
  "ce-type": `${type}.reply`,
  "ce-source": type.split(".", 1).join(),
  "ce-subject": encodeURIComponent(key)
})
