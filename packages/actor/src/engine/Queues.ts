import { Key, Subject } from "@troupe/contract"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Board } from "./Board.ts"
import * as Breath from "./Breath.ts"
import type { Consumer } from "./Consumer.ts"
import * as Culprit from "./Culprit.ts"
import { type Delivery, onward, open, type Passing, type Refusal } from "./Delivery.ts"
import type { Incoming } from "./Mailbox.ts"

/** A batch, opened. */
export interface Sorted {
  /** The last ones, for which there was no time. */
  readonly closed: ReadonlySet<Incoming>
  readonly deliveries: ReadonlyArray<Delivery>
  /** By token: what is of this key, in order. */
  readonly queues: ReadonlyMap<string, ReadonlyArray<Delivery | Refusal | Passing>>
  /** Those of no key that can be read, and those whose callers are told at once. */
  readonly refusals: Array<Refusal>
}

/** Reads something of a message, which may take long, where the watch can see it: also where an edge has the handlers. */
export const shown = <A>(board: Board, consumer: Consumer, incoming: Incoming | undefined, run: () => A): A => {
  if (incoming === undefined) return run()
  const place = board.begin(Culprit.runningOf(consumer, incoming))
  try {
    return run()
  } finally {
    board.end(place)
  }
}

export interface Options {
  readonly board: Board
  /** False: payloads are not looked at, since the messages are given up. */
  readonly decode: boolean
}

/** For so long, in ns, messages of a batch are opened. Their handlers have a budget of their own. */
const budget = 500_000_000n

export const sorted = (
  consumer: Consumer,
  incoming: ReadonlyArray<Incoming>,
  { board, decode }: Options
): Effect.Effect<Sorted> =>
  Effect.gen(function* () {
    const deliveries: Array<Delivery> = []
    const refusals: Array<Refusal> = []
    const queues = new Map<string, Array<Delivery | Refusal | Passing>>()
    const queue = (token: string, one: Delivery | Refusal | Passing): void => {
      const before = queues.get(token)
      if (before === undefined) queues.set(token, [one])
      else before.push(one)
    }
    const clock = yield* Clock.Clock
    const since = clock.monotonicTimeNanosUnsafe()
    const closed = new Set<Incoming>()
    for (const [i, one] of incoming.entries()) {
      if (Breath.isDue()) yield* Breath.take
      if (i > 0 && clock.monotonicTimeNanosUnsafe() - since > budget) {
        closed.add(one)
        continue
      }
      const elsewhere = one.waited === undefined ? undefined : onward(consumer, one)
      const opened =
        elsewhere === undefined
          ? shown(board, consumer, one, () => open(consumer, one, decode))
          : { incoming: one, onward: elsewhere }
      if (opened !== undefined && "payload" in opened) {
        deliveries.push(opened)
        queue(opened.token, opened)
      } else if (one.waited !== undefined) {
        queue(one.waited.key, opened ?? { incoming: one, onward: undefined })
      } else if (opened !== undefined && "why" in opened) {
        const key = opened.caller === undefined || opened.newer ? Subject.parse(one.message.subject)?.key : undefined
        const token = key === undefined ? undefined : Key.encode(key)
        if (token === undefined) refusals.push(opened)
        else queue(token, opened)
      }
    }
    return { closed, deliveries, queues, refusals }
  })
