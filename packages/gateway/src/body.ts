import * as Effect from "effect/Effect"
import type { Problem } from "./Problem.ts"

const tooLarge = (limit: number): Problem => ({ status: 413, code: "TRP0705", why: `${limit} bytes are allowed` })

/** The text of a body of at most `limit` bytes: what is longer is not kept. */
export const read = (request: Request, limit: number): Effect.Effect<string, Problem> =>
  Effect.tryPromise({
    try: async () => {
      if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge(limit)
      const decoder = new TextDecoder("utf-8", { fatal: true })
      let text = ""
      let bytes = 0
      for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
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

/** A few bytes of a deeply nested body cost a schema much: what is deeper is not looked at. */
export const deepest = 100

/** Whether JSON is nested deeper than `deepest`, without parsing it. */
export const isTooDeep = (json: string): boolean => {
  let depth = 0
  for (let i = 0; i < json.length; i++) {
    switch (json[i]) {
      case '"':
        for (i++; i < json.length && json[i] !== '"'; i++) if (json[i] === "\\") i++
        break
      case "{":
      case "[":
        if (++depth > deepest) return true
        break
      case "}":
      case "]":
        depth--
    }
  }
  return false
}

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
