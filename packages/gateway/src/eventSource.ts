import { Text } from "@troupe/contract"
import type { Problem } from "./Problem.ts"

/** Where a refusal does not say when to come back, s. */
const otherwise = 5

/**
 * The field `retry` of an event stream, ms: the time after which its reader connects again once it ended. It is random,
 * `least` to twice that, so that the readers of a gateway that ended do not all come back at once.
 */
export const retry = (least: number): number => Math.round(least * (1 + Math.random()))

/** Whether a request comes from a browser's EventSource, or from a program that behaves like one. */
export const is = (request: Request): boolean =>
  /(^|,)\s*text\/event-stream\s*(;|,|$)/i.test(request.headers.get("accept") ?? "")

/** Whether the same request may succeed later. */
export const isPassing = ({ status }: Problem): boolean => status === 429 || status >= 500

/**
 * A refusal for the moment: a stream that ends, with the reason in a comment. An EventSource connects again after a stream
 * that ended, and never again after a status other than 200 (HTML standard, 9.2.3). It would also connect again after a
 * connection that was closed without an answer, but a proxy makes a 502 of that.
 */
export const refusal = ({ code, headers, why }: Problem): Response => {
  const seconds = Number(headers?.["retry-after"] ?? otherwise)
  return new Response(`retry: ${retry(1_000 * seconds)}\n\n: ${code}${why === "" ? "" : ` ${Text.line(why)}`}\n\n`, {
    headers: { "content-type": "text/event-stream; charset=utf-8" }
  })
}
