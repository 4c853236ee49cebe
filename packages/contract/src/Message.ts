declare const answer: unique symbol

/** A command on its way to one addressee. Made by `Orders.Order.at(key).place({ ... })`; sent by `ask`, `send`, `self.send` or `enqueue`. */
export class Message<out To extends string = string, out Reply = unknown, out Error = unknown> {
  /** `<service>.<Actor>.<command>` */
  readonly to: To
  /** The actor's key, not encoded. */
  readonly key: string
  /** The decoded payload; plain objects are fine where the schema is a class. */
  readonly payload: unknown
  readonly #target: Target
  declare readonly [answer]: { readonly reply: Reply; readonly error: Error }
  constructor(to: To, key: string, payload: unknown, target: Target) {
    this.to = to
    this.key = key
    this.payload = payload
    this.#target = target
  }

  /** How the contract writes this command. Comparing or printing messages leaves it out. */
  get target(): Target {
    return this.#target
  }
}

/** What a sender needs to know of a command to put it on the wire and to read its answer. */
export interface Target {
  readonly service: string
  readonly actor: string
  readonly command: string
  /** The contract's version, `Troupe-Contract` on the wire. */
  readonly contract: number
  readonly payload: Wire
  readonly reply: Wire
  readonly error: Wire
}

/** JSON by a schema, both ways. Failures are texts for a person. */
export interface Wire {
  encode(value: unknown): Encoded
  decode(text: string): Decoded
}
/** `value` is what was encoded, with the instances of the classes in the schema. */
export type Encoded =
  | { readonly ok: true; readonly text: string; readonly value: unknown }
  | { readonly ok: false; readonly why: string }
export type Decoded = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly why: string }

/** An event built by hand, as tests need it: `Orders.Order.events.placed.from(key, { ... })`. Actors emit theirs. */
export interface EventMessage<out Type extends string = string> {
  readonly type: Type
  readonly key: string
  readonly payload: unknown
}

/** An event as a subscriber gets it. `type` tells events of several contracts apart. */
export interface Event<out Type extends string = string, out Key extends string = string, out Payload = unknown> {
  readonly type: Type
  readonly key: Key
  readonly payload: Payload
  readonly id: string
  /** RFC 3339, as said by the emitter. */
  readonly time: string
  /** `<service>.<Actor>`: the events of one actor type. */
  readonly lane: string
  /** Position in its lane and partition: for the events of one key it rises strictly, with gaps. Of two lanes it says nothing. */
  readonly position: number
  readonly correlationId: string
  readonly causationId: string | undefined
}
