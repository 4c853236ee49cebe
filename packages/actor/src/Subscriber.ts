import type { Contract } from "@troupe/contract"
import * as Schema from "effect/Schema"
import type { OnlyDb, Outcome } from "./Handler.ts"
import type { Staged } from "./Self.ts"
import * as State from "./State.ts"

/** Staged work of a subscriber's turn; `key` is the event's key. */
export interface SubscriberSelf<S, Sends extends string> extends Staged<S, Sends> {
  readonly key: string
}

/** Reacts to events, of any contracts, with the guarantees of an actor's turn. State belongs to the event's key. */
export interface Subscriber<Name extends string, S, Sends extends string, R = never> extends AnySubscriber {
  readonly name: Name
  readonly state: State.State<S>
  readonly initial: S
  readonly sends: ReadonlyArray<Contract.Ref & { readonly name: Sends }>
  /** Handles one event. The state is that of the event's key. */
  on<Ref extends Contract.AnyEventRef, R2 = never>(
    event: Ref,
    handle: ((event: Contract.EventOf<Ref>, self: SubscriberSelf<S, Sends>) => Outcome<void, never, R2>) & OnlyDb<R2>
  ): Subscriber<Name, S, Sends, R | R2>
  readonly "~requires": R
}
/** Any subscriber, for code that does not look inside. */
export interface AnySubscriber {
  readonly kind: "subscriber"
  readonly name: string
  readonly state: State.AnyState
  readonly initial: unknown
  readonly sends: ReadonlyArray<Contract.Ref>
  readonly whenDead: Contract.WhenDead
  /** By event type. */
  readonly handlers: ReadonlyMap<string, Listener>
}
/** An event and the handler for it. */
export interface Listener {
  readonly event: Contract.AnyEventRef
  readonly handle: (event: never, self: never) => unknown
}

/** What every subscriber may say. */
export interface Options<Targets> {
  /** The actors that this subscriber may send commands to. */
  readonly sends?: Targets
  /** What a key does after an event that was given up. Default `skip`: it goes on; `block`: it waits for an operator. */
  readonly whenDead?: Contract.WhenDead
}
/** A subscriber that keeps nothing per key. */
export interface Stateless<Targets> extends Options<Targets> {
  readonly state?: never
  readonly initial?: never
}
/** A subscriber with a state per key. */
export interface Stateful<S, Targets> extends Options<Targets> {
  /** Its schema, or `State.make(old).next(new, up)` once it has changed. */
  readonly state: Schema.ConstraintCodec<S, unknown> | State.State<S>
  /** The state of a key that was never written. */
  readonly initial: NoInfer<S>
}

/**
 * Makes a subscriber; add its events with `on`. `name` is lower case and unique in its service. `state` and `initial` come
 * together or not at all: without them there is nothing that a handler could read or set.
 */
export const make: {
  <const Name extends string, const Targets extends ReadonlyArray<Contract.Ref> = []>(
    name: Name,
    options?: Stateless<Targets>
  ): Subscriber<Name, void, Targets[number]["name"]>
  <const Name extends string, S, const Targets extends ReadonlyArray<Contract.Ref> = []>(
    name: Name,
    options: Stateful<S, Targets>
  ): Subscriber<Name, S, Targets[number]["name"]>
} = (
  name: string,
  options: Options<AnySubscriber["sends"]> & Partial<Stateful<unknown, unknown>> = {}
): Subscriber<never, never, never> => {
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(name)) {
    throw new TypeError(`"${name}" is no name for a subscriber: lower case, at most 40`)
  }
  const state: State.AnyState = State.of(options.state ?? Schema.Void)
  const withHandlers = (handlers: AnySubscriber["handlers"]): AnySubscriber & { readonly on: unknown } => ({
    kind: "subscriber",
    name,
    state,
    initial: options.initial,
    sends: options.sends ?? [],
    whenDead: options.whenDead ?? "skip",
    handlers,
    on: (event: Contract.AnyEventRef, handle: unknown) =>
      withHandlers(new Map([...handlers, [event.type, { event, handle: handle as never }]]))
  })
  return withHandlers(new Map()) as never
}
