import type { Actor, Command } from "../Catalog.ts"
import { isNeeded } from "../CloudEvent.ts"

/** Where and how a gateway is called. */
export interface Gateway {
  /** Absolute, without a slash at the end. */
  readonly url: string
  /** Whether requests need a token. */
  readonly token: boolean
}

/** A line for a shell that sends an example of the command. */
export const post = ({ token, url }: Gateway, service: string, actor: Actor, { name, payload }: Command): string => {
  const key = typeof actor.key.example === "string" ? encodeURIComponent(actor.key.example) : "KEY"
  const body = payload.example === undefined ? "@payload.json" : JSON.stringify(payload.example)
  return lines(
    `curl -sS -X POST ${quoted(`${url}/v1/${service}/${actor.name}/${key}/${name}`)}`,
    ...bearer(token),
    // Of each command another one: the same one again means the same request.
    `-H ${quoted(`Idempotency-Key: ${actor.name}-${name}-1`)}`,
    ...(isNeeded(payload.schema) ? [`-H ${quoted("Content-Type: application/json")}`, `-d ${quoted(body)}`] : [])
  )
}

/** A line for a shell that hears events. */
export const listen = ({ token, url }: Gateway, service: string, query: string): string =>
  lines(`curl -N ${quoted(`${url}/v1/${service}/events?${query}`)}`, ...bearer(token))

const bearer = (token: boolean): ReadonlyArray<string> => (token ? [`-H "Authorization: Bearer $TOKEN"`] : [])
const lines = (...lines: ReadonlyArray<string>): string => lines.join(" \\\n  ")

/** One word of a POSIX shell, taken literally. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
