import type { Msg } from "@nats-io/nats-core"
import { Subject } from "@troupe/contract"
import { NotConnected, Rejected, StreamFull } from "../ClientError.ts"
import type { Signal } from "./signals.ts"

/** What JetStream answers to a publish (nats-server `JSPubAckResponse`). */
interface PubAck {
  readonly duplicate?: boolean
  readonly error?: { readonly code: number; readonly err_code: number; readonly description?: string }
}
/** Without a schema: one arrives for each message, from the server itself. */
const parse = (text: string): PubAck | undefined => {
  try {
    const ack: unknown = JSON.parse(text)
    return typeof ack === "object" && ack !== null ? ack : undefined
  } catch {
    return undefined
  }
}

/** A limit of the stream is 10077, with the limit in its text alone; 10002, 10023 and 10047 are limits of account and server. */
const isFull = (code: number, text: string): boolean =>
  (code === 10077 && text.startsWith("maximum ")) || code === 10002 || code === 10023 || code === 10047
const tooLargeForStream = 10054

/** Reads the answer to a publish to the commands of `service`: taken, taken before, or refused and why. */
export const read = (msg: Msg, service: string): Signal => {
  const stream = Subject.stream("cmd", service)
  const passing = (detail: string): Signal => ({ _tag: "Refused", reason: new NotConnected({ detail }), passing: true })
  if (msg.headers?.code === 503)
    return passing(`no stream takes ${Subject.accepted("cmd", service)}: is the service deployed?`)
  const ack = parse(msg.string())
  if (ack === undefined) return passing(`${stream} did not acknowledge it: ${msg.string().slice(0, 100)}`)
  if (ack.error === undefined) return { _tag: "Acked", duplicate: ack.duplicate === true }
  const { code, description = "", err_code } = ack.error
  if (isFull(err_code, description)) return { _tag: "Refused", reason: new StreamFull({ stream }), passing: false }
  if (code >= 500) return passing(`${stream}: ${description}`)
  const trp = err_code === tooLargeForStream ? "TRP0207" : "TRP0404"
  return { _tag: "Refused", reason: new Rejected({ code: trp, detail: `${stream}: ${description}` }), passing: false }
}
