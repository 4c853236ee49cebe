import { Key, Subject } from "@troupe/contract"
import type { Board } from "./Board.ts"
import type { Consumer } from "./Consumer.ts"
import * as Culprit from "./Culprit.ts"
import { type Delivery, onward, open, type Passing, type Refusal } from "./Delivery.ts"
import type { Incoming } from "./Mailbox.ts"

/** A batch, opened. */
export interface Sorted {
  readonly deliveries: ReadonlyArray<Delivery>
  /** By token: what is of this key, in order. */
  readonly queues: ReadonlyMap<string, ReadonlyArray<Delivery | Refusal | Passing>>
  /** Those of no key that can be read, and those whose callers are told at once. */
  readonly refusals: Array<Refusal>
}

/** Does something for a message that may take long, where the watch can see it. */
export const shown = <A>(board: Board, consumer: Consumer, incoming: Incoming | undefined, run: () => A): A => {
  if (incoming === undefined || "edge" in consumer.part) return run()
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

export const sorted = (consumer: Consumer, incoming: ReadonlyArray<Incoming>, { board, decode }: Options): Sorted => {
  const deliveries: Array<Delivery> = []
  const refusals: Array<Refusal> = []
  const queues = new Map<string, Array<Delivery | Refusal | Passing>>()
  const queue = (token: string, one: Delivery | Refusal | Passing): void => {
    const before = queues.get(token)
    if (before === undefined) queues.set(token, [one])
    else before.push(one)
  }
  for (const one of incoming) {
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
  return { deliveries, queues, refusals }
}
