/** What pages of other origins may send and see (Fetch standard, CORS): CloudEvents often have a time, which is not read. */
const sent = [
  "authorization",
  "content-type",
  "idempotency-key",
  "last-event-id",
  "prefer",
  "traceparent",
  "ce-id",
  "ce-source",
  "ce-specversion",
  "ce-subject",
  "ce-time",
  "ce-type"
].join(", ")
const seen = [
  "troupe-message-id",
  "troupe-consistency",
  "preference-applied",
  "retry-after",
  "www-authenticate",
  "ce-specversion",
  "ce-id",
  "ce-source",
  "ce-type",
  "ce-subject"
].join(", ")

/** Adds to an answer what lets the page of an allowed origin see it. */
export const allow = (request: Request, response: Response, origins: ReadonlyArray<string>): Response => {
  if (origins.length === 0) return response
  response.headers.append("vary", "origin")
  const origin = request.headers.get("origin")
  if (origin === null || !origins.includes(origin)) return response
  response.headers.set("access-control-allow-origin", origin)
  response.headers.set("access-control-expose-headers", seen)
  return response
}

/** The answer to OPTIONS: which methods there are, and for a page's first question what it may send. */
export const options = (request: Request, methods: ReadonlyArray<string>): Response => {
  const names = [...methods, "OPTIONS"].join(", ")
  const asked = request.headers.has("access-control-request-method")
  return new Response(null, {
    status: 204,
    headers: {
      allow: names,
      ...(asked
        ? {
            "access-control-allow-methods": names,
            "access-control-allow-headers": sent,
            "access-control-max-age": "600"
          }
        : {})
    }
  })
}
