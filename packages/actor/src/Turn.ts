import { type Event, type EventMessage, Key, type Message, Reason } from "@troupe/contract"
import type { Db } from "@troupe/postgres"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { AnyActor } from "./Actor.ts"
import { run } from "./Handler.ts"
import type { AnySubscriber } from "./Subscriber.ts"
import * as Timer from "./Timer.ts"

/** What one turn wants, before anything is encoded or committed. */
export interface Turn<State = unknown> {
  readonly state: State
  /** Whether the handler called `set`. */
  readonly changed: boolean
  readonly reply: unknown
  /** The typed error that the command was refused with; then nothing else is kept. */
  readonly error: unknown
  /** In the order they were staged; of several things done to one timer only the last. */
  readonly staged: ReadonlyArray<StagedItem>
}
/** What a handler staged. */
export type StagedItem =
  | { readonly kind: "event"; readonly name: string; readonly payload: unknown }
  | { readonly kind: "command"; readonly message: Message }
  | TimerItem
  | { readonly kind: "cancel"; readonly name: string }
/** A command that is sent when its delay is over. A delayed send has no name. */
export interface TimerItem {
  readonly kind: "timer"
  readonly name: string | undefined
  /** ms, from the commit on. */
  readonly delay: number
  readonly message: Message
}

/** The message of a turn, as far as a handler may see it. */
export interface Input {
  readonly id: string
  /** Decoded. */
  readonly key: string
  /** When it was said, ms since 1970. */
  readonly now: number
}

/** Runs one command through an actor, in memory. A defect of the handler stays a defect. */
export const take = (
  actor: AnyActor,
  before: unknown,
  command: string,
  payload: unknown,
  input: Input
): Effect.Effect<Turn, never, Db> =>
  turn(before, input, (self, stage) => {
    const handler = actor.handlers[command]
    if (handler === undefined) return Effect.die(new Error(`${actor.ref.name} has no handler for ${command}`))
    const emit: Record<string, (payload?: unknown) => void> = {}
    for (const name of Object.keys(actor.ref.definition.events)) {
      emit[name] = (payload = {}) => stage({ kind: "event", name, payload })
    }
    return run(() => handler(payload as never, Object.assign(self, { emit }) as never))
  })

/** Runs one event through a subscriber, in memory. A defect of the handler stays a defect. */
export const hear = (
  subscriber: AnySubscriber,
  before: unknown,
  event: Event,
  input: Input
): Effect.Effect<Turn, never, Db> =>
  turn(before, input, (self) => {
    const listener = subscriber.handlers.get(event.type)
    if (listener === undefined) return Effect.die(new Error(`${subscriber.name} does not listen to ${event.type}`))
    return run(() => listener.handle(event as never, self as never))
  })

const turn = (
  before: unknown,
  input: Input,
  handle: (self: object, stage: (item: StagedItem) => void) => Effect.Effect<unknown, unknown, Db>
): Effect.Effect<Turn, never, Db> =>
  Effect.suspend(() => {
    let state = frozen(before)
    let changed = false
    let open = true
    const staged: Array<StagedItem> = []
    const random = seeded(input.id)
    const stage = (item: StagedItem): void => {
      if (!open) throw new Error("the turn is over: a handler that goes on after it returned cannot stage anything")
      staged.push(item)
    }
    const self = {
      key: input.key,
      messageId: input.id,
      now: input.now,
      random: () => random.nextDoubleUnsafe(),
      get state() {
        return state
      },
      set: (next: unknown) => {
        if (!open) throw new Error("the turn is over: a handler that goes on after it returned cannot set its state")
        state = next
        changed = true
      },
      send: (message: Message, { after }: { readonly after?: Duration.Input } = {}) => {
        stage(
          after === undefined
            ? { kind: "command", message }
            : { kind: "timer", name: undefined, delay: Timer.delayOf(after), message }
        )
      },
      timer: (name: string, delay: Duration.Input, message: Message) => {
        stage({ kind: "timer", name: Timer.named(name), delay: Timer.delayOf(delay), message })
      },
      cancelTimer: (name: string) => {
        stage({ kind: "cancel", name: Timer.named(name) })
      },
      fail: (error: unknown): never => {
        throw new Refusal(error)
      }
    }
    const end = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<Turn> => {
      open = false
      if (Exit.isSuccess(exit)) {
        return Exit.succeed({ state, changed, reply: exit.value, error: undefined, staged: lastOfEachTimer(staged) })
      }
      const failed = Cause.findErrorOption(exit.cause)
      const error = Option.getOrElse(failed, () => refused(exit.cause))
      // It failed with nothing that could be told.
      if (error === undefined && Option.isSome(failed)) return Exit.die(error)
      if (error === undefined) return Exit.failCause(exit.cause as Cause.Cause<never>)
      return Exit.succeed({ state: before, changed: false, reply: undefined, error, staged: [] })
    }
    const handled = handle(self, stage)
    if (Exit.isExit(handled)) return end(handled)
    return Effect.exit(handled).pipe(
      Effect.provideService(Clock.Clock, fixed(input.now)),
      Effect.provideService(Random.Random, random),
      Effect.flatMap(end)
    )
  })

/** Of several things done to one timer only the last. */
export const lastOfEachTimer = (staged: ReadonlyArray<StagedItem>): ReadonlyArray<StagedItem> => {
  const last = new Map(staged.map((item) => [timerNameOf(item), item]))
  return staged.filter((item) => timerNameOf(item) === undefined || last.get(timerNameOf(item)) === item)
}
const timerNameOf = (item: StagedItem): string | undefined =>
  item.kind === "timer" || item.kind === "cancel" ? item.name : undefined

/**
 * A state is shared by all turns that read it until one is committed: a handler that changed it in place, and then failed,
 * would have changed it all the same. Plain objects, arrays and instances of schema classes; what else a state may hold
 * is not ours to freeze.
 */
const frozen = <A>(value: A): A => {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  const plain = Array.isArray(value) || prototype === Object.prototype || prototype === null
  if (!plain && !("ast" in value.constructor)) return value
  Object.freeze(value)
  for (const inner of Object.values(value)) frozen(inner)
  return value
}

/** `self.fail` throws: code that is not Effect has no other way to stop. */
class Refusal {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}
const refused = (cause: Cause.Cause<unknown>): unknown => {
  for (const reason of cause.reasons) {
    if (Cause.isDieReason(reason) && Reason.is(reason.defect, Refusal)) return reason.defect.error
  }
  return undefined
}

/** A clock that stands at the message's time; only its sleeps take real time. */
const fixed = (now: number): Clock.Clock => {
  const real = Context.get(Context.empty() as Context.Context<never>, Clock.Clock)
  return {
    currentTimeMillisUnsafe: () => now,
    currentTimeMillis: Effect.succeed(now),
    currentTimeNanosUnsafe: () => BigInt(now) * 1_000_000n,
    currentTimeNanos: Effect.succeed(BigInt(now) * 1_000_000n),
    monotonicTimeNanosUnsafe: () => real.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: real.monotonicTimeNanos,
    sleep: (duration) => real.sleep(duration)
  }
}

/** mulberry32 (Tommy Ettinger, 2017), seeded by the message's id: 32 bits of state are enough for a handler's dice, and cost nothing when unused. */
const seeded = (id: string): { nextDoubleUnsafe(): number; nextIntUnsafe(): number } => {
  let state: number | undefined
  const next = (): number => {
    state = ((state ?? Key.partition(id, 0x7fffffff)) + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
  }
  const span = Number.MAX_SAFE_INTEGER
  return { nextDoubleUnsafe: next, nextIntUnsafe: () => Math.floor((next() * 2 - 1) * span) }
}

/** The staged events of a turn as messages of `actor` about `key`. */
export const eventsOf = (turn: Turn, actor: string, key: string): ReadonlyArray<EventMessage> =>
  turn.staged.flatMap((item) =>
    item.kind === "event" ? [{ type: `${actor}.${item.name}`, key, payload: item.payload }] : []
  )
/** The staged commands of a turn, without those that are sent later. */
export const sentBy = (turn: Turn): ReadonlyArray<Message> =>
  turn.staged.flatMap((item) => (item.kind === "command" ? [item.message] : []))
/** The timers that a turn sets, with its delayed sends. */
export const timersOf = (turn: Turn): ReadonlyArray<TimerItem> => turn.staged.filter((item) => item.kind === "timer")
/** The names of the timers that a turn cancels. */
export const cancelledBy = (turn: Turn): ReadonlyArray<string> =>
  turn.staged.flatMap((item) => (item.kind === "cancel" ? [item.name] : []))
