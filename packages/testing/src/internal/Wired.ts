import { type Actor, State, type Subscriber, Turn } from "@troupe/actor"
import { type EventMessage, EventWire, type Json, Key, type Message, type Target, type Wire } from "@troupe/contract"
import type * as Effect from "effect/Effect"

/** A turn about to run, with the schemas of everything it takes and gives. */
export interface Wired {
  /** `orders.Order.place`, or the subscriber and what it hears. */
  readonly name: string
  readonly key: string
  /** The actor that emits; a subscriber has none. */
  readonly actor: string
  /** It needs what its handlers ask for: `Given` says so in its types. */
  readonly turn: Effect.Effect<Turn.Turn>
  /** Of a command; an event has no answer. */
  readonly target: Target | undefined
  readonly state: Wire
  /** By event type. */
  readonly events: ReadonlyMap<string, Wire>
  /** The actors that may be sent to, by name. */
  readonly sends: ReadonlySet<string>
}

interface Input {
  readonly id: string
  readonly now: number
}

export const command = (actor: Actor.AnyActor, before: unknown, message: Message, input: Input): Wired => {
  const { key, target, to } = message
  const name = `${actor.ref.name}.${target.command}`
  if (to !== name) throw new Error(`${to} is no command of ${actor.ref.name}`)
  const state = newest(State.wire(actor.state))
  const payload = through(`the payload of ${name}`, target.payload, message.payload).value
  return {
    name,
    key: checked(name, key),
    actor: actor.ref.name,
    turn: Turn.take(actor, through("the given state", state, before).value, target.command, payload, {
      ...input,
      key
    }) as Effect.Effect<Turn.Turn>,
    target,
    state,
    events: new Map(
      Object.values(actor.ref.events).map(({ definition, type }) => [type, newest(EventWire.make(definition))])
    ),
    sends: new Set([...actor.sends.map((ref) => ref.name), actor.ref.name])
  }
}

export const event = (
  subscriber: Subscriber.AnySubscriber,
  before: unknown,
  message: EventMessage,
  input: Input
): Wired => {
  const { key, type } = message
  const listener = subscriber.handlers.get(type)
  if (listener === undefined) throw new Error(`${subscriber.name} does not listen to ${type}`)
  const name = `${subscriber.name} on ${type}`
  const state = newest(State.wire(subscriber.state))
  const heard = {
    type,
    key: checked(name, key),
    payload: through(`the payload of ${type}`, newest(EventWire.make(listener.event.definition)), message.payload)
      .value,
    id: input.id,
    time: new Date(input.now).toISOString(),
    lane: type.slice(0, type.lastIndexOf(".")),
    position: 1,
    correlationId: input.id,
    causationId: undefined
  }
  return {
    name,
    key,
    actor: "",
    turn: Turn.hear(subscriber, through("the given state", state, before).value, heard, {
      ...input,
      key
    }) as Effect.Effect<Turn.Turn>,
    target: undefined,
    state,
    events: new Map(),
    sends: new Set(subscriber.sends.map((ref) => ref.name))
  }
}

/** A value as it is stored and sent, and as its reader gets it; throws, in words, when it cannot be. */
export const through = (
  what: string,
  wire: Wire,
  value: unknown
): { readonly json: unknown; readonly value: unknown } => {
  const encoded = wire.encode(value)
  if (!encoded.ok) throw new Error(`${what} is not what its schema says: ${encoded.why}`, { cause: value })
  const decoded = wire.decode(encoded.text)
  if (!decoded.ok) throw new Error(`${what} does not come back from the wire: ${decoded.why}`, { cause: value })
  return { json: encoded.text === "" ? undefined : JSON.parse(encoded.text), value: decoded.value }
}

/** The key, when a subject can have it. */
export const checked = (name: string, key: string): string => {
  if (Key.encode(key) !== undefined) return key
  throw new Error(
    `the key ${JSON.stringify(key)} of ${name} has no subject token: empty, over 200 bytes, or not Unicode`
  )
}

const newest = (wire: Json.Versioned): Wire => ({
  encode: wire.encode,
  decode: (text) => wire.decode(text, wire.version)
})
