import type { Contract } from "@troupe/contract"
import type * as Schema from "effect/Schema"
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
export interface AnySubscriber {
  readonly kind: "subscriber"
  readonly name: string
  readonly state: State.State<any>
  readonly initial: unknown
  readonly sends: ReadonlyArray<Contract.Ref>
  /** By event type. */
  readonly handlers: ReadonlyMap<string, Listener>
}
export interface Listener {
  readonly event: Contract.AnyEventRef
  readonly handle: (event: never, self: never) => unknown
}

/** Makes a subscriber; add its events with `on`. `name` is lower case and unique in its service. */
export const make = <const Name extends string, S, const Targets extends ReadonlyArray<Contract.Ref> = []>(
  name: Name,
  options: {
    readonly state: Schema.ConstraintCodec<S, unknown> | State.State<S>
    readonly initial: NoInfer<S>
    /** The actors that this subscriber may send commands to. */
    readonly sends?: Targets
  }
): Subscriber<Name, S, Targets[number]["name"]> => {
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(name)) throw new TypeError(`"${name}" is no name for a subscriber: lower case, at most 40`)
  const state = State.of(options.state)
  const withHandlers = (handlers: AnySubscriber["handlers"]): Subscriber<Name, S, Targets[number]["name"], never> => ({
    "~requires": undefined as never,
    kind: "subscriber",
    name,
    state,
    initial: options.initial,
    sends: options.sends ?? [],
    handlers,
    on: (event, handle) => withHandlers(new Map([...handlers, [event.type, { event, handle: handle as never }]])) as never
  })
  return withHandlers(new Map())
}
