import { type Msg, type MsgHdrs, NoRespondersError, PermissionViolationError } from "@nats-io/nats-core"
import { MsgHdrsImpl } from "@nats-io/nats-core/internal"
import { Subject } from "@troupe/contract"
import { ClientError, NotAllowed, NotConnected, PlaceLost, type Reason } from "../ClientError.ts"
import type { Link } from "./Link.ts"
import * as Place from "./Place.ts"

/** How long an answer of JetStream is waited for, ms. */
const patience = 2_000

/** What a stream holds. */
export interface Log {
  readonly created: number
  readonly first: number
  readonly last: number
  /** The time of the server that keeps it, ms since 1970: this machine's clock may be wrong. */
  readonly now: number
  /** Over how many partitions its keys are spread: see `Key.partition`. */
  readonly partitions: number
}

/** Where a new consumer begins. */
export type Begin =
  | { readonly deliver_policy: "all" }
  | { readonly deliver_policy: "by_start_sequence"; readonly opt_start_seq: number }
  | { readonly deliver_policy: "by_start_time"; readonly opt_start_time: string }

/** How far a consumer is. */
export interface Progress {
  /** The last sequence that it will not deliver any more. */
  readonly seq: number
  /** How many messages it has delivered. */
  readonly delivered: number
  readonly pending: number
}

/** It may be gone in a moment: a server that starts, or a connection that is away. */
export class Passing extends Error {}

/** No answer came. */
export class Silent extends Passing {}
/** Nobody is there to answer: no stream, or a server that starts. */
export class Unserved extends Passing {}

/** Why nothing can be read or kept, when that lasts. */
export const unserved = (to: string, kind: Parameters<typeof Subject.stream>[0], service: string): ClientError => {
  const detail = `there is no stream ${Subject.stream(kind, service)}: is the service deployed, and new enough?`
  return new ClientError({ to, reason: new NotConnected({ detail }) })
}

/** What is answered to `subject`. Throws `ClientError`, or `Passing` when nobody answers. */
export const request = async (
  link: Link,
  to: string,
  subject: string,
  body: string,
  headers?: MsgHdrs
): Promise<Msg> => {
  const refuse = (reason: Reason) => new ClientError({ to, reason })
  const refusal = link.refusal()
  if (refusal !== undefined) throw refuse(refusal)
  const options = headers === undefined ? { timeout: patience } : { timeout: patience, headers }
  return await link.nc.request(subject, body, options).catch((cause: unknown) => {
    const violation = find(cause, PermissionViolationError)
    if (violation !== undefined) throw refuse(new NotAllowed({ subject: violation.subject }))
    const closed = link.refusal()
    if (closed !== undefined) throw refuse(closed)
    const why = cause instanceof Error ? cause.message : String(cause)
    throw find(cause, NoRespondersError) === undefined ? new Silent(why) : new Unserved(why)
  })
}

/** What JetStream's JSON API answers. Throws as `request`, and `ClientError` for what it refuses. */
const call = async <Info>(link: Link, stream: string, subject: string, body: unknown): Promise<Info> => {
  const answer = await request(link, stream, `${link.api(stream)}.${subject}`, JSON.stringify(body))
  const info = JSON.parse(answer.string()) as Info & { readonly error?: ApiError }
  const { error } = info
  if (error === undefined) return info
  if (error.err_code === messageNotFound) return info
  if (error.err_code === streamNotFound) throw new NoStream(stream)
  if (error.code >= 500 || error.err_code === consumerNotFound) throw new Passing(error.description)
  throw new ClientError({ to: stream, reason: new NotConnected({ detail: `${stream}: ${error.description}` }) })
}

interface ApiError {
  readonly code: number
  readonly err_code: number
  readonly description: string
}
interface StreamInfo {
  readonly ts: string
  readonly created: string
  readonly config: { readonly subject_transform?: { readonly dest: string } }
  readonly state: { readonly first_seq: number; readonly last_seq: number }
}
/** Headers in Base64. */
interface StoredMessage {
  readonly message?: { readonly hdrs?: string }
}
interface ConsumerInfo {
  readonly delivered: { readonly stream_seq: number; readonly consumer_seq: number }
  readonly num_pending: number
}
const streamNotFound = 10059
const consumerNotFound = 10014
const messageNotFound = 10037

/** Also for a moment while a server starts. */
export class NoStream extends Passing {
  constructor(stream: string) {
    super(`there is no stream ${stream}: is the service deployed?`)
  }
}

export const look = async (link: Link, stream: string): Promise<Log> => {
  const { config, created, state, ts } = await call<StreamInfo>(link, stream, `STREAM.INFO.${stream}`, {})
  const partitions = Number(/\{\{partition\((\d+),3\)\}\}/.exec(config.subject_transform?.dest ?? "")?.[1] ?? 0)
  const [first, last] = [state.first_seq, state.last_seq]
  return { created: Date.parse(created), first, last, now: Date.parse(ts), partitions }
}

/** An ordered reader of its own: no acks, in memory, forgotten by the server after five minutes without a pull. */
export const createConsumer = async (
  link: Link,
  stream: string,
  name: string,
  filter: string | undefined,
  begin: Begin
): Promise<Progress> => {
  // With a name and a filter in the subject a permission can bound what it reads.
  const subject = `CONSUMER.CREATE.${stream}.${name}${filter === undefined ? "" : `.${filter}`}`
  const config = {
    ...begin,
    name,
    ack_policy: "none",
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: 5 * 60 * second,
    ...(filter === undefined ? {} : { filter_subject: filter })
  }
  return progress(await call<ConsumerInfo>(link, stream, subject, { stream_name: stream, config, action: "create" }))
}

export const consumer = async (link: Link, stream: string, name: string): Promise<Progress> =>
  progress(await call<ConsumerInfo>(link, stream, `CONSUMER.INFO.${stream}.${name}`, {}))

const progress = (info: ConsumerInfo): Progress => ({
  seq: info.delivered.stream_seq,
  delivered: info.delivered.consumer_seq,
  pending: info.num_pending
})

/** What tells the message at `seq` from another one (`Place.id`); empty when there is none. */
export const idAt = async (link: Link, stream: string, seq: number, log: Log): Promise<string> => {
  if (seq < 1 || seq < log.first || seq > log.last) return ""
  const { message } = await call<StoredMessage>(link, stream, `STREAM.MSG.GET.${stream}`, { seq })
  if (message === undefined) return ""
  const bytes = Uint8Array.from(atob(message.hdrs ?? ""), (char) => char.charCodeAt(0))
  return Place.idOf(bytes.length === 0 ? "" : MsgHdrsImpl.decode(bytes).get("ce-id"))
}

/** Nanoseconds, as JetStream counts. */
export const second = 1_000_000_000

/** Why reading cannot go on after a place, if so: the stream is not the one that was read, or lacks what was not read yet. */
export const lost = (stream: string, place: Place.Place, log: Log): ClientError | undefined => {
  const said = (code: PlaceLost["code"], why: string) =>
    new ClientError({ to: stream, reason: new PlaceLost({ code, stream, why }) })
  if (place.created !== log.created)
    return said("TRP0408", `it was created ${when(place.created)}, and anew ${when(log.created)}`)
  if (log.last < place.seq) return said("TRP0408", `it was read up to ${place.seq}, and now ends at ${log.last}`)
  return log.first > place.seq + 1
    ? said("TRP0407", `it was read up to ${place.seq}, and now begins at ${log.first}`)
    : undefined
}

/** The same, when another message stands at the place. One that is not there any more proves nothing. */
export const replaced = async (
  link: Link,
  stream: string,
  place: Place.Place,
  log: Log
): Promise<ClientError | undefined> => {
  const found = place.id === "" ? "" : await idAt(link, stream, place.seq, log)
  if (found === "" || found === place.id) return undefined
  const why = `it was read up to ${place.seq}, and now has another message there`
  return new ClientError({ to: stream, reason: new PlaceLost({ code: "TRP0408", stream, why }) })
}

const when = (ms: number): string => new Date(ms).toISOString()

const find = <E extends Error>(cause: unknown, type: new (...args: Array<never>) => E): E | undefined =>
  cause instanceof type
    ? cause
    : cause instanceof Error && cause.cause !== undefined
      ? find(cause.cause, type)
      : undefined
