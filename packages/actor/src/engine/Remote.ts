import { Reason } from "@troupe/contract"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { AnyRemote } from "../Actor.ts"
import * as Body from "../edge/Body.ts"
import * as Protocol from "../edge/Protocol.ts"
import type { Failure, Take } from "./Attempt.ts"
import type { Consumer } from "./Consumer.ts"
import type { Delivery } from "./Delivery.ts"
import { call, type EdgeAway } from "./EdgeCall.ts"
import * as Gather from "./Gather.ts"
import type { Incoming } from "./Mailbox.ts"
import * as Measures from "./Measures.ts"
import type { Sorted } from "./Queues.ts"
import * as Returned from "./Returned.ts"
import { TooMuch } from "./TooMuch.ts"

/** The edge was not asked, or did not begin the turn, before the batch was late. */
export class NotBegun {}

/** Characters that one call carries, but for a single turn that has more. */
const portion = 4 * 1024 ** 2

/**
 * Runs the turns of a batch at the edge. Those that are wanted at the same time go in one call, each with what follows of
 * its key. What came back for what follows counts when its turn has come, if the state is the one that it was made from: a
 * pure handler would say it again. So a batch takes one call, and more where a turn failed or took long; none is begun
 * once the batch is `late`.
 */
export const make = (
  consumer: Consumer,
  actor: AnyRemote,
  queues: Sorted["queues"],
  late: () => boolean
): Effect.Effect<Take<EdgeAway | NotBegun | TooMuch>, never, Scope.Scope> => {
  let called = false
  /** By what was delivered: a delivery that is traced is a copy. */
  const ahead = new Map<Incoming, Ahead>()
  const run = (items: ReadonlyArray<Item>): Effect.Effect<ReadonlyArray<Answered>> =>
    Effect.gen(function* () {
      const answers = new Map<Incoming, Answered>()
      const calls = [...portions(items, queues)]
      for (const some of calls) {
        if (called && late()) break
        called = true
        const exit = yield* Effect.exit(Measures.called(consumer.name, call(actor, some.map(lineOf))))
        const alone = some.length === 1 && some[0]!.deliveries.length === 1
        if (Exit.isSuccess(exit)) {
          const left = some.filter((one, i) => {
            const outcome = kept(ahead, one, exit.value[i]!)
            if (outcome !== undefined) answers.set(one.deliveries[0].incoming, Exit.succeed(outcome))
            return outcome === undefined
          })
          if (left.length > 0) calls.push(left)
        } else if (alone && Reason.is(Cause.squash(exit.cause), TooMuch)) {
          answers.set(some[0]!.deliveries[0].incoming, Exit.succeed(tooLarge))
        } else {
          // The batch fails, and is not to wait for each of its calls: that of an edge that hangs takes its time.
          return items.map(({ delivery }) => answers.get(delivery.incoming) ?? Exit.failCause(exit.cause))
        }
      }
      return items.map(({ delivery }) => answers.get(delivery.incoming) ?? Exit.fail(new NotBegun()))
    })
  return Effect.map(
    Gather.make(run),
    (gathered): Take<EdgeAway | NotBegun | TooMuch> =>
      (delivery, value) =>
        Effect.suspend((): ReturnType<Take<EdgeAway | NotBegun | TooMuch>> => {
          const state = consumer.state.encode(value)
          if (!state.ok) return Effect.succeed(unreadable)
          const known = ahead.get(delivery.incoming)
          ahead.delete(delivery.incoming)
          const outcome =
            known?.before === state.text ? Effect.succeed(known.outcome) : gathered({ delivery, before: state.text })
          return Effect.flatMap(outcome, (outcome) => Returned.read(consumer, actor, delivery, value, outcome))
        })
  )
}
const unreadable: Failure = { code: "TRP0304", reason: "it was read, but cannot be written as it is declared" }
const tooLarge: Protocol.Outcome = {
  kind: "failed",
  code: "TRP0303",
  reason: `with its state, or with what it wants, it has over ${Protocol.limit} bytes or ${Protocol.bounds.values} JSON values`
}

/** A turn that is to be run, and the state before it as text. */
interface Item {
  readonly delivery: Delivery
  readonly before: string
}
/** With what follows of its key. */
interface Wanted {
  readonly before: string
  readonly deliveries: readonly [Delivery, ...Array<Delivery>]
}
type Answered = Exit.Exit<Protocol.Outcome, EdgeAway | NotBegun | TooMuch>
/** What becomes of a turn if it finds this state. */
interface Ahead {
  readonly before: string
  readonly outcome: Protocol.Outcome
}

const portions = (items: ReadonlyArray<Item>, queues: Sorted["queues"]): ReadonlyArray<ReadonlyArray<Wanted>> => {
  const out: Array<Array<Wanted>> = []
  let room = -1
  for (const { before, delivery } of items) {
    const own = sizeOf(delivery) + before.length
    if (own > room) {
      out.push([])
      room = portion
    }
    room -= own
    const deliveries: [Delivery, ...Array<Delivery>] = [delivery]
    for (const next of following(delivery, queues)) {
      room -= sizeOf(next)
      if (room < 0) break
      deliveries.push(next)
    }
    out.at(-1)!.push({ before, deliveries })
  }
  return out
}
const sizeOf = ({ incoming, key }: Delivery): number => incoming.message.data.length + key.length + 300

const following = ({ incoming, token }: Delivery, queues: Sorted["queues"]): ReadonlyArray<Delivery> => {
  const queue = queues.get(token) ?? []
  const at = queue.findIndex((one) => one.incoming === incoming)
  return queue.slice(at + 1).filter((one): one is Delivery => "payload" in one)
}

const lineOf = ({ before, deliveries }: Wanted): Protocol.Line => {
  const [first, ...rest] = deliveries
  return { key: first.key, state: before, turns: [turnOf(first), ...rest.map(turnOf)] }
}
const turnOf = ({ envelope, incoming, name, now }: Delivery): Protocol.Turn => ({
  id: envelope.id,
  now,
  command: name,
  // It was UTF-8 when it was opened.
  payload: Body.text(incoming.message.data) ?? ""
})

/** The outcome of the first turn, if it was begun; those that follow are kept with the state that each was made from. */
const kept = (
  ahead: Map<Incoming, Ahead>,
  { before, deliveries }: Wanted,
  outcomes: ReadonlyArray<Protocol.Outcome>
): Protocol.Outcome | undefined => {
  let state = before
  for (const [i, outcome] of outcomes.entries()) {
    if (i > 0) ahead.set(deliveries[i]!.incoming, { before: state, outcome })
    if (outcome.kind === "done") state = outcome.state ?? state
  }
  return outcomes[0]
}
