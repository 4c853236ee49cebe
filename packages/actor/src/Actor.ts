import type { Contract } from "@troupe/contract"
import type * as Schema from "effect/Schema"
import type { Handlers, OnlyDb } from "./Handler.ts"
import * as State from "./State.ts"

/** How an actor of the contract behaves. `R` is `Db` when a handler asks for it, otherwise `never`: a pure actor. */
export interface Actor<Name extends string, A extends Contract.AnyActor, S, Sends extends string, R = never> {
  readonly kind: "actor"
  readonly ref: Contract.ActorRef<Name, A>
  readonly state: State.State<S>
  readonly initial: S
  readonly sends: ReadonlyArray<Contract.Ref & { readonly name: Sends }>
  readonly handlers: { readonly [command: string]: (payload: never, self: never) => unknown }
  readonly "~requires": R
}
/** An actor of which the handlers run elsewhere. What they stage is checked and committed here, as that of any other. */
export interface RemoteActor<Name extends string, A extends Contract.AnyActor, S, Sends extends string> {
  readonly kind: "actor"
  readonly ref: Contract.ActorRef<Name, A>
  readonly state: State.State<S>
  readonly initial: S
  readonly sends: ReadonlyArray<Contract.Ref & { readonly name: Sends }>
  readonly edge: EdgeOptions
}
/** Where handlers run that do not run in the host. What is not set is told when the service starts (TRP0101). */
export interface EdgeOptions {
  /** Of what `Edge.serve` answers: `https:`, or `http:` to this machine. */
  readonly url: string | undefined
  /**
   * What both ends sign with, each of at least 32 characters. The first one signs, any of them is accepted: to change it, let
   * the edge accept the new one, then the hosts sign with it, then drop the old one. One that is not set is passed over.
   */
  readonly secrets: ReadonlyArray<string | undefined>
}

/** What every actor declares, for code that does not look inside. */
export interface Declared {
  readonly kind: "actor"
  readonly ref: Contract.AnyActorRef
  readonly state: State.AnyState
  readonly initial: unknown
  readonly sends: ReadonlyArray<Contract.Ref>
}
/** Any actor with its handlers, for code that does not look inside. */
export interface AnyActor extends Declared {
  readonly handlers: { readonly [command: string]: (payload: never, self: never) => unknown }
}
/** Any actor of which the handlers run elsewhere. */
export interface AnyRemote extends Declared {
  readonly edge: EdgeOptions
}

/** An actor whose handlers are not there yet. */
export interface Unhandled<Name extends string, A extends Contract.AnyActor, S, Sends extends string> {
  /** One handler per command of the contract. They may send to actors of their own type without listing it. */
  commands<R = never>(handlers: Handlers<A, S, Sends | Name, R> & OnlyDb<R>): Actor<Name, A, S, Sends, R>
  /** For the service, where the handlers run elsewhere: what `Edge.serve` got of the same declaration, by `commands`. */
  remote(edge: EdgeOptions): RemoteActor<Name, A, S, Sends>
}

/** Starts an actor of the contract: its state first, then `commands`. */
export const make = <
  Name extends string,
  A extends Contract.AnyActor,
  S,
  const Targets extends ReadonlyArray<Contract.Ref> = []
>(
  ref: Contract.ActorRef<Name, A>,
  options: {
    /** Its schema, or `State.make(old).next(new, up)` once it has changed. */
    readonly state: Schema.ConstraintCodec<S, unknown> | State.State<S>
    /** The state of a key that was never written. */
    readonly initial: NoInfer<S>
    /** The actors that this actor may send commands to. */
    readonly sends?: Targets
  }
): Unhandled<Name, A, S, Targets[number]["name"]> => {
  const declared = {
    kind: "actor",
    ref,
    state: State.of(options.state),
    initial: options.initial,
    sends: options.sends ?? []
  } as const
  return {
    commands: (handlers) => ({ ...declared, handlers: handlers as never, "~requires": undefined as never }),
    remote: (edge) => ({ ...declared, edge })
  }
}
