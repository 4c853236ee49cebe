import { type Codes, Envelope, JsonBounds, Key, Subject } from "@troupe/contract"
import * as Body from "../edge/Body.ts"
import type { Consumer } from "./Consumer.ts"
import * as Id from "./id.ts"
import type { Incoming } from "./Mailbox.ts"
import { type Staged, staged } from "./Staged.ts"

/** A message that a handler can be run for. */
export interface Delivery {
  readonly incoming: Incoming
  readonly envelope: Envelope.Envelope
  /** The envelope's id as the inbox keeps it. */
  readonly id: string
  readonly type: string
  /** The command or event. */
  readonly name: string
  readonly key: string
  /** The key as a subject token. */
  readonly token: string
  /** Decoded, in the newest version. */
  readonly payload: unknown
  /** ms since 1970: the sender's time, else the stream's. */
  readonly now: number
  /** Of a command; an event is never compared. */
  readonly hash: string | null
  readonly replyTo: string | undefined
}

/** A message that no handler can be run for. */
export interface Refusal {
  readonly incoming: Incoming
  readonly code: Codes.Code
  readonly why: string
  /** Who asked, when that can be told: then it gets the reason, and no dead letter is kept. */
  readonly caller: { readonly id: string; readonly type: string; readonly replyTo: string } | undefined
  /** Newer code knows it: it waits for that. */
  readonly newer?: true
}
/** What waited, and no handler here is run for: a timer's message for somebody else, or an event that nobody listens to any more. */
export interface Passing {
  readonly incoming: Incoming
  readonly onward: Staged | undefined
}

/** `undefined`: an event that this consumer does not listen to. Without `decode` its payload is not looked at. */
export const open = (consumer: Consumer, incoming: Incoming, decode = true): Delivery | Refusal | undefined => {
  const { message } = incoming
  const get = (name: string) => message.headers.get(name)
  const envelope = Envelope.fromHeaders(get)
  if ("why" in envelope) return { incoming, code: "TRP0203", why: envelope.why, caller: undefined }
  const replyTo = envelope.replyTo !== undefined && Envelope.isReplyTo(envelope.replyTo) ? envelope.replyTo : undefined
  const refuse = (code: Codes.Code, why: string): Refusal => ({
    incoming,
    code,
    why,
    caller: replyTo === undefined ? undefined : { id: envelope.id, type: envelope.type, replyTo }
  })
  const subject = Subject.parse(message.subject)
  if (subject === undefined) return refuse("TRP0204", `of the subject ${message.subject.slice(0, 300)}`)
  const { actor, key, kind, name, service } = subject
  const type = `${service}.${actor}.${name}`
  if (envelope.type !== type) return refuse("TRP0205", `ce-type is ${envelope.type}, the subject says ${type}`)
  if (envelope.key !== undefined && envelope.key !== key) {
    return refuse("TRP0205", `ce-subject is ${envelope.key.slice(0, 200)}, the subject says ${key}`)
  }
  if (kind === "evt" && !consumer.events.has(type)) return undefined
  const body = Body.text(message.data)
  if (body === undefined) return refuse("TRP0201", "it is not UTF-8")
  const command = kind === "cmd" ? consumer.commands.get(name) : undefined
  if (kind === "cmd" && command === undefined) {
    const contract = envelope.contract ?? 1
    if (consumer.sources.some(({ claimed }) => claimed !== undefined))
      return refuse("TRP0418", `${service} has no actor ${actor}; the sender's contract is ${contract}`)
    const refusal = refuse("TRP0202", `${consumer.name} has no ${name}; the sender's contract is ${contract}`)
    return contract > consumer.contract ? { ...refusal, newer: true } : refusal
  }
  const event = command === undefined ? consumer.events.get(type) : undefined
  const version = envelope.version ?? 1
  // What waits in Postgres kept the bounds when it was read, or was written before there were any.
  const exceeded = decode && incoming.waited === undefined ? JsonBounds.exceeded(body) : undefined
  const payload = !decode
    ? { ok: true as const, value: undefined }
    : exceeded !== undefined
      ? { ok: false as const, why: exceeded.why }
      : event === undefined
        ? command!.payload.decode(body)
        : event.decode(body, version)
  if (!payload.ok) {
    const refusal = refuse(event === undefined ? "TRP0201" : "TRP0209", payload.why)
    return event !== undefined && version > event.version ? { ...refusal, newer: true } : refusal
  }
  const said = envelope.time === undefined ? Number.NaN : Date.parse(envelope.time)
  return {
    incoming,
    envelope,
    id: Id.ofMessage(envelope.id),
    type,
    name,
    key,
    token: Key.encode(key)!,
    payload: payload.value,
    now: Number.isNaN(said) ? message.time : said,
    hash: command === undefined ? null : Id.ofRequest(type, key, body),
    replyTo
  }
}

/** The message of a timer, if it is not for the actor and the key that set it. */
export const onward = (consumer: Consumer, { message, stream, waited }: Incoming): Staged | undefined => {
  const envelope = Envelope.fromHeaders((name) => message.headers.get(name))
  const subject = Subject.parse(message.subject)
  if (waited?.kind !== "timer" || subject === undefined || "why" in envelope) return undefined
  const { actor, key, kind, name, service } = subject
  const token = Key.encode(key)!
  if (consumer.part.kind === "actor" && `${service}.${actor}` === consumer.name && token === waited.key)
    return undefined
  const published = Subject.published(kind, service, actor, name, token)
  return staged(stream, published, envelope, new TextDecoder().decode(message.data), false)
}
