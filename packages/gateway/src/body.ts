import * as Effect from "effect/Effect"
import type { Problem } from "./Problem.ts"

const tooLarge = (limit: number): Problem => ({ status: 413, code: "TRP0705", why: `${limit} bytes are allowed` })

/** The text of the body of a request or a response, of at most `limit` bytes: what is longer is not kept. */
export const read = (
  { body, headers }: Pick<Request, "body" | "headers">,
  limit: number
): Effect.Effect<string, Problem> =>
  Effect.tryPromise({
    try: async () => {
      if (Number(headers.get("content-length") ?? 0) > limit) throw tooLarge(limit)
      const decoder = new TextDecoder("utf-8", { fatal: true })
      let text = ""
      let bytes = 0
      for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
        bytes += chunk.length
        if (bytes > limit) throw tooLarge(limit)
        text += decoder.decode(chunk, { stream: true })
      }
      return text + decoder.decode()
    },
    catch: (cause): Problem =>
      typeof cause === "object" && cause !== null && "status" in cause
        ? (cause as Problem)
        : { status: 400, code: "TRP0704", why: "it is no UTF-8, or it ended early" }
  })

/** The type of a body without its parameters, in lower case; empty when it says none. */
export const mediaType = (headers: Headers): string =>
  (headers.get("content-type") ?? "").split(";", 1).join().trim().toLowerCase()

/** 415 for what is compressed, or in another character set than UTF-8, which the Encoding standard calls `utf8` as well. */
export const unsupported = (headers: Headers): Problem | undefined => {
  const encoding = headers.get("content-encoding") ?? "identity"
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(headers.get("content-type") ?? "")?.[1] ?? "utf-8"
  if (encoding.toLowerCase() !== "identity") return { status: 415, code: "TRP0703", why: "it is compressed" }
  return /^utf-?8$/i.test(charset) ? undefined : { status: 415, code: "TRP0703", why: "its character set is not UTF-8" }
}
