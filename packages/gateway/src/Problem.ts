import type { ClientError } from "@troupe/client"
import { Codes, Text } from "@troupe/contract"
import { OpenApi } from "@troupe/contract/document"

/** What a request came to instead of an answer: RFC 9457. */
export interface Problem {
  readonly status: number
  readonly code: Codes.Code
  /** For the caller; a text that says nothing of the inside. */
  readonly why: string
  readonly headers?: Readonly<Record<string, string>>
}

export const isProblem = (value: object): value is Problem => "code" in value && "status" in value && "why" in value

/** `instance` is the id of the message, if there was one. */
export const response = ({ code, headers, status, why }: Problem, instance?: string): Response => {
  const { todo, what } = Codes.codes[code]
  return problemJson(
    status,
    {
      type: OpenApi.problemType(code),
      title: what,
      status,
      detail: why === "" ? todo : `${why} · ${todo}`,
      ...(instance === undefined ? {} : { instance: `urn:uuid:${instance}` }),
      code
    },
    headers
  )
}

/** One of the errors that a command declares; `error` is JSON as the contract writes it. */
export const ofError = (
  type: string,
  error: { readonly _tag: string; readonly message: string },
  json: string,
  instance: string
) =>
  problemJson(422, {
    type: OpenApi.errorType(type, error._tag),
    title: error._tag,
    status: 422,
    detail: error.message === "" ? `${type} answered ${error._tag}` : error.message,
    instance: `urn:uuid:${instance}`,
    error: JSON.parse(json) as unknown
  })

const problemJson = (status: number, body: object, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(Text.visible(JSON.stringify(body)), { status, headers: { ...always, ...headers } })

const always = {
  "content-type": "application/problem+json",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff"
}

/** Why a message did not get through. What only the operator of the service may know is left to the codes. */
export const ofClientError = ({ reason }: ClientError): Problem => {
  switch (reason._tag) {
    case "TimedOut":
      return {
        status: 504,
        code: "TRP0210",
        why: `after ${reason.after}; the same request with the same Idempotency-Key is safe`
      }
    case "StreamFull":
      return { status: 503, code: "TRP0406", why: "", headers: { "retry-after": "1" } }
    case "TooManyUnderWay":
      return { status: 503, code: "TRP0709", why: "", headers: { "retry-after": "1" } }
    case "NotConnected":
    case "NotAuthorized":
      return { status: 503, code: "TRP0709", why: "it does not reach the service", headers: { "retry-after": "2" } }
    case "NotAllowed":
      return { status: 502, code: "TRP0211", why: "the gateway itself may not do this" }
    case "TooLarge":
      return { status: 413, code: "TRP0207", why: `${reason.bytes} bytes with headers, ${reason.limit} allowed` }
    case "BadKey":
      return { status: 400, code: "TRP0204", why: "" }
    case "PlaceLost":
      return { status: 410, code: reason.code, why: "what followed this place is not there: begin anew, with ?from=" }
    case "TakenOver":
      return { status: 502, code: "TRP0217", why: "" }
    case "Rejected":
      return ofRejection(reason.code, reason.detail)
  }
}

const ofRejection = (code: string, detail: string): Problem => {
  const known = code in Codes.codes ? (code as Codes.Code) : undefined
  switch (known) {
    case "TRP0201":
      return { status: 400, code: known, why: detail }
    case "TRP0216":
      return { status: 400, code: known, why: "" }
    case "TRP0202":
      return { status: 404, code: known, why: "" }
    case "TRP0206":
      return { status: 422, code: known, why: "" }
    case "TRP0207":
      return { status: 413, code: known, why: "" }
    case "TRP0212":
      return { status: 409, code: known, why: "" }
    case "TRP0301":
    case "TRP0302":
    case "TRP0303":
    case "TRP0304":
    case "TRP0306":
      return { status: 500, code: known, why: "" }
    case "TRP0307":
      return { status: 503, code: known, why: "", headers: { "retry-after": "10" } }
    default:
      return { status: 502, code: known ?? "TRP0208", why: "" }
  }
}
