import type { Actor, Command } from "../Catalog.ts"
import { isNeeded } from "../CloudEvent.ts"

/** Where and how a gateway is called. */
export interface Gateway {
  /** Absolute, without a slash at the end. `undefined`: the shell has it in the variable `GATEWAY`. */
  readonly url: string | undefined
  /** Whether requests need a token. */
  readonly token: boolean
}

/** A line for a shell that sends an example of the command. */
export const post = (gateway: Gateway, service: string, actor: Actor, { name, payload }: Command): string => {
  const key = typeof actor.key.example === "string" ? encodeURIComponent(actor.key.example) : "KEY"
  const body = payload.example === undefined ? "@payload.json" : JSON.stringify(payload.example)
  return lines(
    `curl -sS -X POST ${at(gateway, `/v1/${service}/${actor.name}/${key}/${name}`)}`,
    ...bearer(gateway),
    // Of each command another one: the same one again means the same request.
    `-H ${quoted(`Idempotency-Key: ${actor.name}-${name}-1`)}`,
    ...(isNeeded(payload.schema) ? [`-H ${quoted("Content-Type: application/json")}`, `-d ${quoted(body)}`] : [])
  )
}

/** A line for a shell that hears events. */
export const listen = (gateway: Gateway, service: string, query: string): string =>
  lines(`curl -N ${at(gateway, `/v1/${service}/events?${query}`)}`, ...bearer(gateway))

const at = ({ url }: Gateway, path: string): string =>
  url === undefined ? `"$GATEWAY"${quoted(path)}` : quoted(`${url}${path}`)
const bearer = ({ token }: Gateway): ReadonlyArray<string> => (token ? [`-H "Authorization: Bearer $TOKEN"`] : [])
const lines = (...lines: ReadonlyArray<string>): string => lines.join(" \\\n  ")

/** One word of a POSIX shell, taken literally. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
