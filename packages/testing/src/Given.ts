import type { Actor, Subscriber, Turn } from "@troupe/actor"
import type { Contract, EventMessage, Message } from "@troupe/contract"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { compare, type Expectation, written } from "./internal/Compare.ts"
import { command, event, type Wired } from "./internal/Wired.ts"

/** What a turn should do. What you leave out is not checked; `events: []` says that there are none. A refusal that is not expected always fails. */
export interface Expected<State, Reply, Error> {
  readonly reply?: Reply
  /** The typed error that the command is refused with. Nothing else of such a turn is kept. */
  readonly error?: Error
  /** The state after the turn. */
  readonly state?: State
  /** Made by the contract: `Orders.Order.events.placed.from(key, { ... })`, in the order they were emitted. */
  readonly events?: ReadonlyArray<EventMessage>
  /** Made by the contract: `Payments.Payment.at(key).authorize({ ... })`, in the order they were sent. */
  readonly sent?: ReadonlyArray<Message>
  /** The timers that it sets and its delayed sends, in that order of the handler; of several of one name the last. */
  readonly timers?: ReadonlyArray<ExpectedTimer>
  /** The names of the timers that it cancels, in that order of the handler. */
  readonly cancelledTimers?: ReadonlyArray<string>
}
/** `self.timer(name, delay, message)`; or `self.send(message, { after: delay })`, which has no name. A fired timer is just `when(message)`. */
export interface ExpectedTimer {
  readonly name?: string
  readonly delay: Duration.Input
  readonly message: Message
}

/** One turn, ready to be checked. */
export interface When<State, Reply, Error, R> {
  /** The turn's result, for assertions of your own: as the handler left it. */
  readonly turn: Effect.Effect<Turn.Turn<State>, never, R>
  /** Checks the turn: yield it in an Effect test, or give it to `check`. */
  expect(expected: Expected<State, Reply, Error>): Effect.Effect<void, never, R>
}

/** How a message comes in. */
export interface How {
  /** `self.messageId`, and the seed of `self.random()`. Default: the same for every test. */
  readonly id?: string
  /** `self.now`, ms since 1970. Default: 2026-01-01, midnight UTC. */
  readonly now?: number
}

/** A command of this actor, with what it answers. */
type Own<Name extends string, Reply, Error> = Message<`${Name}.${string}`, Reply, Error>

/** An actor in a state. */
export interface Given<Name extends string, State, R> {
  /** The command to handle. */
  when<Reply, Error>(message: Own<Name, Reply, Error>, how?: How): When<State, Reply, Error, R>
}
/** A subscriber in a state. */
export interface GivenSubscriber<State, R> {
  /** The event to handle, made by `Orders.Order.events.placed.from(key, { ... })`. */
  when(event: EventMessage, how?: How): When<State, void, never, R>
}

/**
 * Starts a test of one turn: `given(order, state).when(message).expect({ ... })`. Without a state, the key was never
 * written. No server, no clock. Payload, state, reply, error, events and commands go through the contract's schemas both
 * ways, as on the wire: what it would refuse fails the test.
 */
export const given: {
  <Name extends string, A extends Contract.AnyActor, State, R>(
    actor: Actor.Actor<Name, A, State, string, R>,
    state?: NoInfer<State>
  ): Given<Name, State, R>
  <State, R>(
    subscriber: Subscriber.Subscriber<string, State, string, R>,
    state?: NoInfer<State>
  ): GivenSubscriber<State, R>
} = (part: Actor.AnyActor | Subscriber.AnySubscriber, state: unknown = part.initial): never => {
  const when = (message: Message | EventMessage, how: How = {}) => {
    const input = { id: how.id ?? "01900000-0000-7000-8000-000000000000", now: how.now ?? Date.UTC(2026, 0, 1) }
    const wired = (): Wired =>
      part.kind === "actor"
        ? command(part, state, message as Message, input)
        : event(part, state, message as EventMessage, input)
    const run = Effect.suspend(() => {
      const made = wired()
      return Effect.map(made.turn, (turn) => ({ made, turn, seen: written(made, turn) }))
    })
    return {
      turn: Effect.map(run, ({ turn }) => turn),
      expect: (expected: Expectation) => Effect.map(run, ({ made, seen }) => compare(made, seen, expected))
    }
  }
  return { when } as never
}

/** Runs a check in a test that is not an Effect test: `await check(given(order).when(message).expect({ ... }))`. */
export const check = (expectation: Effect.Effect<void>): Promise<void> => Effect.runPromise(expectation)
