import type { Contract, Message } from "@troupe/contract"
import type * as Duration from "effect/Duration"

/** One function per event of the actor. Staged: published when the turn commits. */
export type Emit<A extends Contract.AnyActor> = {
  readonly [K in keyof A["events"] & string]: A["events"][K] extends Contract.EventType<infer F>
    ? keyof F extends never
      ? () => void
      : (payload: Contract.Payload<F>) => void
    : never
}

/** Any command of these actors. */
export type MessageTo<Targets extends string> = Message<`${Targets}.${string}`>

/** What `set` takes: nothing, where there is no state. `0 extends 1 & State` holds for `any` only. */
export type Settable<State> = [State] extends [void] ? (0 extends 1 & State ? State : never) : State

/**
 * What a handler may do. All of it is staged and takes effect together when the turn commits, so nothing here waits or
 * fails: these are plain calls, and no forgotten `yield*` or `await` can lose one.
 */
export interface Staged<State, Sends extends string> {
  /** The state, with what this turn has set so far. Frozen: `set` replaces it. */
  readonly state: State
  /** The id of the message being handled: use it as an idempotency key. */
  readonly messageId: string
  /** When the message was said, in ms since 1970: the same however often the turn runs. Effect's `Clock` says the same. */
  readonly now: number
  /** A number in [0, 1), the same sequence however often the turn runs. Effect's `Random` is seeded likewise. */
  random(): number
  /** Replaces the state. A subscriber without state cannot call it. */
  set(state: Settable<State>): void
  /**
   * Sends a command to an actor that `sends` lists, or from an actor to its own type. `after`: not before so much time has passed
   * since the turn's commit, by Postgres' clock; from 0 to 10 years. To move or cancel it later, use `timer`.
   */
  send(message: MessageTo<Sends>, options?: { readonly after?: Duration.Input }): void
  /**
   * Sends a command later, as `send` with `after` does, under a name: a key has one timer of a name, and setting it again
   * replaces it. A name has 1 to 200 characters and does not begin with `~`. A wrong name or delay throws.
   */
  timer(name: string, delay: Duration.Input, message: MessageTo<Sends>): void
  /** Cancels this key's timer of that name; it never fires then. Nothing happens when there is none. */
  cancelTimer(name: string): void
}

/** What a handler of an actor may do. */
export interface Self<A extends Contract.AnyActor, State, Sends extends string> extends Staged<State, Sends> {
  readonly key: Contract.Key<A>
  /** Emits one of the actor's events. */
  readonly emit: Emit<A>
  /** Refuses the command with an error of the contract, from code that is not Effect. Nothing of the turn is kept. */
  fail(error: Contract.ErrorsOf<A>): never
}
