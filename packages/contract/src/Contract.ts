import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { type Event, type EventMessage, Message, type Target, type Wire } from "./Message.ts"
import { type Codec, make as wire } from "./Wire.ts"

export type { Codec } from "./Wire.ts"

/** The fields of a payload. */
export type Fields = { readonly [name: string]: Codec }
/** What a payload of these fields looks like once decoded. */
export type Payload<F extends Fields> = Schema.Struct<F>["Type"]

// ---------------------------------------------------------------------------------------------------------------------
// commands and events
// ---------------------------------------------------------------------------------------------------------------------

/** A request to one addressee, with a reply and typed errors. */
export interface Command<F extends Fields, Reply extends Codec, Error extends Codec> {
  readonly kind: "command"
  readonly payload: F
  readonly reply: Reply
  readonly errors: ReadonlyArray<Error>
}
/** Any command, for code that does not look inside. */
export type AnyCommand = Command<Fields, Codec, Codec>

/** Declares a command. Without `reply` the caller gets `void`; without `errors` the actor cannot refuse it. */
export const command = <const O extends CommandOptions>(
  options: O & Only<O, keyof CommandOptions>
): Command<PayloadIn<O>, ReplyIn<O>, ErrorIn<O>> =>
  ({
    kind: "command",
    payload: options.payload ?? {},
    reply: options.reply ?? Schema.Void,
    errors: options.errors ?? []
  }) as never

/** What a command takes and answers; all of it may be left out. */
export interface CommandOptions {
  readonly payload?: Fields
  readonly reply?: Codec
  readonly errors?: ReadonlyArray<Codec<TaggedError>>
}
/** A type parameter takes any further property: `error` for `errors` would compile, and its errors be lost. */
type Only<O, Keys> = { readonly [K in Exclude<keyof O, Keys>]: never }
type PayloadIn<O> = O extends { readonly payload: infer F extends Fields } ? F : {}
type ReplyIn<O> = O extends { readonly reply: infer R extends Codec } ? R : Schema.Void
type ErrorIn<O> = O extends { readonly errors: ReadonlyArray<infer E extends Codec> } ? E : never

/** An error a command may answer with: any `Schema.TaggedError`. */
export interface TaggedError {
  readonly _tag: string
  readonly message: string
}

/** Something that happened. Its newest version is the one that code sees. */
export interface EventType<F extends Fields> {
  readonly kind: "event"
  readonly version: number
  readonly payload: F
  readonly upcasts: ReadonlyArray<Upcast>
  /**
   * Declares the next version of this event. `upcast` turns a payload of the version before into this one; it is applied
   * on reading, so handlers only ever see the newest version.
   */
  next<const G extends Fields>(payload: G, upcast: (old: Payload<F>) => Payload<G>): EventType<G>
}
/** Any event, for code that does not look inside. */
export type AnyEventType = EventType<Fields>
/** How a payload of one version becomes one of the next. */
export interface Upcast {
  readonly from: Fields
  readonly up: (old: never) => unknown
}

/** Declares an event by its payload, or without one. Two signatures: the place where it stands would else be taken for its payload. */
export const event: {
  (): EventType<{}>
  <const F extends Fields>(payload: F): EventType<F>
} = (payload: Fields = {}) => eventType(payload, []) as never

const eventType = <F extends Fields>(payload: F, upcasts: ReadonlyArray<Upcast>): EventType<F> => ({
  kind: "event",
  version: upcasts.length + 1,
  payload,
  upcasts,
  next: (next, up) => eventType(next, [...upcasts, { from: payload, up }])
})

// ---------------------------------------------------------------------------------------------------------------------
// actors
// ---------------------------------------------------------------------------------------------------------------------

/** Commands by name. */
export type Commands = { readonly [name: string]: AnyCommand }
/** Events by name. */
export type Events = { readonly [name: string]: AnyEventType }

/** What a key does after a message that was given up: it goes on, or waits until an operator redrives or discards it. */
export type WhenDead = "skip" | "block"

/** State behind a key; handles its commands one at a time. */
export interface Actor<Key extends Codec<string>, C extends Commands, E extends Events> {
  new (_: never): {}
  readonly kind: "actor"
  readonly key: Key
  readonly commands: C
  readonly events: E
  readonly whenDead: WhenDead
}
/** Any actor, for code that does not look inside. */
export type AnyActor = Actor<Codec<string>, Commands, Events>

/** Every error that a command of this actor may answer with. */
export type ErrorsOf<A extends AnyActor> = A["commands"][keyof A["commands"]]["errors"][number]["Type"]

/** Declares an actor. Write it as a class, so that types and errors name it instead of spelling it out. */
export const actor = <Key extends Codec<string>, const C extends Commands = {}, const E extends Events = {}>(options: {
  readonly key: Key
  readonly commands?: C
  readonly events?: E
  /** Default `skip`. `block` where the next command must not run on a state that the one before did not change. */
  readonly whenDead?: WhenDead
}): Actor<Key, C, E> =>
  Object.assign(class {} as unknown as new (_: never) => {}, {
    kind: "actor" as const,
    key: options.key,
    commands: options.commands ?? ({} as C),
    events: options.events ?? ({} as E),
    whenDead: options.whenDead ?? "skip"
  })

// ---------------------------------------------------------------------------------------------------------------------
// references: what other code uses
// ---------------------------------------------------------------------------------------------------------------------

/** The type of an actor's keys. */
export type Key<A> = A extends { readonly key: Codec<infer K> } ? K : string

/** What a message of command `C` sent to `To` answers with. */
export type MessageOf<To extends string, C> =
  C extends Command<infer _F, infer Reply, infer Error> ? Message<To, Reply["Type"], Error["Type"]> : never

type Send<To extends string, C extends AnyCommand> = keyof C["payload"] extends never
  ? () => MessageOf<To, C>
  : (payload: Payload<C["payload"]>) => MessageOf<To, C>

/** One actor instance: a function per command, each makes a message for it. Nothing is sent yet. */
export type Address<Name extends string, A extends { readonly commands: Commands }> = {
  readonly [K in keyof A["commands"] & string]: Send<`${Name}.${K}`, A["commands"][K]>
}

/** A command of a contract, with its address but for the key. */
export interface CommandRef<To extends string, C extends AnyCommand> {
  readonly kind: "command"
  readonly type: To
  readonly command: C
  readonly target: Target
}
/** An event of a contract: what a subscriber listens to. */
export interface EventRef<Type extends string, K extends string, F extends Fields> {
  readonly kind: "event"
  readonly type: Type
  readonly definition: EventType<F>
  /** Makes the event as said by the actor with this key: for tests. An actor emits with `self.emit`. */
  from(key: K, payload: Payload<F>): EventMessage<Type>
}
/** Any event of any contract. */
export type AnyEventRef = {
  readonly kind: "event"
  readonly type: string
  readonly definition: AnyEventType
  from(key: never, payload: never): unknown
}
/** The event as a subscriber sees it. */
export type EventOf<R> = R extends EventRef<infer Type, infer K, infer F> ? Event<Type, K, Payload<F>> : never

/** An actor of a contract: address it with `at`, listen to its `events`. */
export interface ActorRef<Name extends string, A extends AnyActor> {
  readonly kind: "actor"
  readonly name: Name
  readonly definition: A
  readonly commands: { readonly [K in keyof A["commands"] & string]: CommandRef<`${Name}.${K}`, A["commands"][K]> }
  readonly events: {
    readonly [K in keyof A["events"] & string]: A["events"][K] extends EventType<infer F>
      ? EventRef<`${Name}.${K}`, Key<A>, F>
      : never
  }
  at(key: Key<A>): Address<Name, A>
}
/** Any actor of any contract. */
export interface AnyActorRef extends Ref {
  readonly definition: AnyActor
  readonly commands: { readonly [name: string]: CommandRef<string, AnyCommand> }
  readonly events: { readonly [name: string]: AnyEventRef }
}
/** What `sends` lists: an actor by its name, `orders.Order`. */
export interface Ref {
  readonly kind: "actor"
  readonly name: string
}

/** How a part of a contract is referred to. */
export type RefOf<Name extends string, P> = P extends AnyActor ? ActorRef<Name, P> : never

/** What a service says: its name and its actors. */
export type Contract<Name extends string, Parts extends { readonly [name: string]: AnyActor }> = AnyContract<Name> & {
  readonly [P in keyof Parts & string]: RefOf<`${Name}.${P}`, Parts[P]>
}
/** Any contract: its service and its version. */
export interface AnyContract<Name extends string = string> {
  readonly "~service": Name
  readonly "~version": number
}

/** Service `orders`, actor `Order`, command or event `placed`: each one token of a subject. */
const names = {
  service: /^[a-z][a-z0-9-]{0,39}$/,
  actor: /^[A-Z][A-Za-z0-9]{0,59}$/,
  message: /^[a-z][A-Za-z0-9]{0,59}$/
}
const named = (kind: keyof typeof names, name: string): void => {
  if (!names[kind].test(name)) throw new TypeError(`"${name}" is no name for a ${kind}: it must match ${names[kind]}`)
  // An object with a `then` is taken for a promise wherever it is awaited or returned.
  if (name === "then") throw new TypeError(`"then" is no name for a ${kind}: its actor could not be awaited`)
}

/**
 * Makes the contract of a service out of its actors. The module that exports it is the SDK of the service.
 * `version` (default 1) rises when commands are added: it tells an older service that a message is newer than its code.
 * Throws a `TypeError` for a name that is no subject token, and for a version that is no whole number above 0.
 */
export const make = <const Name extends string, const Parts extends { readonly [name: string]: AnyActor }>(
  name: Name,
  parts: Parts,
  options: { readonly version?: number } = {}
): Contract<Name, Parts> => {
  named("service", name)
  const version = options.version ?? 1
  if (!Number.isSafeInteger(version) || version < 1) throw new TypeError(`${version} is no version of a contract`)
  const refs: Record<string, unknown> = { "~service": name, "~version": version }
  for (const [partName, part] of Object.entries(parts)) refs[partName] = reference(name, partName, part, version)
  return refs as unknown as Contract<Name, Parts>
}

/** The actors of a contract. */
export const actors = (contract: AnyContract): ReadonlyArray<AnyActorRef> =>
  Object.entries(contract).flatMap(([name, ref]) => (name.startsWith("~") ? [] : [ref as AnyActorRef]))

/** An error is told by its tag. Without this, the defaults of a schema would make a declared error of any object. */
const tagged = (errors: Wire): Wire => ({
  decode: errors.decode,
  encode: (value) =>
    Predicate.hasProperty(value, "_tag") ? errors.encode(value) : { ok: false, why: "it is no tagged error" }
})

const reference = (service: string, actor: string, part: AnyActor, contract: number) => {
  named("actor", actor)
  const name = `${service}.${actor}`
  const commands = Object.fromEntries(
    Object.entries(part.commands).map(([command, definition]) => {
      named("message", command)
      const target: Target = {
        service,
        actor,
        command,
        contract,
        payload: wire(Schema.Struct(definition.payload)),
        reply: wire(definition.reply),
        error: tagged(wire(Schema.Union(definition.errors as ReadonlyArray<Codec>) as unknown as Codec))
      }
      return [command, { kind: "command", type: `${name}.${command}`, command: definition, target }]
    })
  )
  const events = Object.fromEntries(
    Object.entries(part.events).map(([event, definition]) => {
      named("message", event)
      const type = `${name}.${event}`
      const from = (key: string, payload: unknown = {}): EventMessage => ({ type, key, payload })
      return [event, { kind: "event", type, definition, from }]
    })
  )
  const makers = Object.values(commands)
  const at = (key: string) =>
    Object.fromEntries(
      makers.map(({ type, target }) => [
        target.command,
        (payload: unknown = {}) => new Message(type, key, payload, target)
      ])
    )
  return { kind: "actor", name, definition: part, commands, events, at }
}
