import { EventWire, type Message, Reason, type Target } from "@troupe/contract"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { AnyActor } from "../Actor.ts"
import { TooSlow, timed } from "../Limit.ts"
import * as State from "../State.ts"
import * as Turn from "../Turn.ts"
import type * as Protocol from "./Protocol.ts"

/** An actor as an edge runs it. */
export interface Runner {
  readonly actor: AnyActor
  readonly state: State.StateWire
  readonly events: ReadonlyMap<string, EventWire.EventWire>
}

export const runner = (actor: AnyActor): Runner => ({
  actor,
  state: State.wire(actor.state),
  events: new Map(
    Object.entries(actor.ref.definition.events).map(([name, definition]) => [name, EventWire.make(definition)])
  )
})

/**
 * In ns: no line of a call is begun that much later than its first, and no turn of a line. The host waits for them all, 15 s
 * at most.
 */
const patience = { call: 5_000_000_000n, line: 1_000_000_000n }

/** Runs the lines of a call side by side, each as far as it goes. */
export const run = (runner: Runner, lines: ReadonlyArray<Protocol.Line>): Effect.Effect<Protocol.Answer["lines"]> =>
  Effect.gen(function* () {
    const since = yield* Clock.monotonicTimeNanos
    return yield* Effect.forEach(
      lines,
      (line, i) =>
        Effect.flatMap(Clock.monotonicTimeNanos, (now) =>
          // Handlers that compute run one after the other.
          i > 0 && now - since > patience.call ? Effect.succeed([]) : runLine(runner, line)
        ),
      { concurrency: "unbounded" }
    )
  })

const runLine = (
  runner: Runner,
  { key, state, turns }: Protocol.Line
): Effect.Effect<ReadonlyArray<Protocol.Outcome>> =>
  Effect.gen(function* () {
    const since = yield* Clock.monotonicTimeNanos
    let before = state
    const outcomes: Array<Protocol.Outcome> = []
    for (const turn of turns) {
      if (outcomes.length > 0 && (yield* Clock.monotonicTimeNanos) - since > patience.line) break
      const outcome = yield* take(runner, key, before, turn)
      outcomes.push(outcome)
      if (outcome.kind === "died" || outcome.kind === "failed") break
      if (outcome.kind === "done") before = outcome.state ?? before
    }
    return outcomes
  })

const take = (
  runner: Runner,
  key: string,
  before: string,
  { command, id, now, payload }: Protocol.Turn
): Effect.Effect<Protocol.Outcome> => {
  const { actor, state } = runner
  const target = actor.ref.commands[command]?.target
  if (target === undefined) return unread(`there is no ${command}`)
  const read = target.payload.decode(payload)
  if (!read.ok) return unread(`${command}: ${read.why}`)
  const loaded = state.decode(before, state.version)
  if (!loaded.ok) return unread(`the state: ${loaded.why}`)
  // Only pure actors are served: one that asks for `Db` all the same fails.
  const turn = Turn.take(actor, loaded.value, command, read.value, { id, key, now }) as Effect.Effect<Turn.Turn>
  return Effect.map(Effect.exit(timed(turn)), (exit) => {
    if (Exit.isSuccess(exit)) return encodeSafely(runner, target, exit.value)
    const why = Cause.squash(exit.cause)
    return { kind: "died", slow: Reason.is(why, TooSlow), reason: bounded(why) }
  })
}

/** What its host took for valid, though both declare the same: it is parked, until one of them is mended. */
const unread = (why: string): Effect.Effect<Protocol.Outcome> =>
  Effect.succeed({ kind: "failed", code: "TRP0301", reason: `the edge reads otherwise than its host: ${why}` })

const encodeSafely = (runner: Runner, target: Target, turn: Turn.Turn): Protocol.Outcome => {
  try {
    return encode(runner, target, turn)
  } catch (error) {
    return failed(bounded(error))
  }
}

const encode = ({ actor, events, state }: Runner, target: Target, turn: Turn.Turn): Protocol.Outcome => {
  if (turn.error !== undefined) {
    const error = target.error.encode(turn.error)
    if (error.ok) return { kind: "refused", error: error.text }
    return { kind: "failed", code: "TRP0301", reason: `an undeclared error: ${bounded(turn.error)}` }
  }
  const reply = target.reply.encode(turn.reply)
  if (!reply.ok) return failed(`the reply: ${reply.why}`)
  const after = turn.changed ? state.encode(turn.state) : undefined
  if (after?.ok === false) return failed(`the state: ${after.why}`)
  const staged: Array<Protocol.Item> = []
  for (const item of turn.staged) {
    if (item.kind === "cancel") {
      staged.push(item)
      continue
    }
    const [type, payload] =
      item.kind === "event"
        ? [`${actor.ref.name}.${item.name}`, events.get(item.name)!.encode(item.payload)]
        : [item.message.to, item.message.target.payload.encode(item.message.payload)]
    if (!payload.ok) return failed(`${type}: ${payload.why}`)
    if (item.kind === "event") staged.push({ kind: "event", name: item.name, payload: payload.text })
    else if (item.kind === "command") staged.push({ kind: "command", ...sent(item.message, payload.text) })
    else {
      const named = item.name === undefined ? {} : { name: item.name }
      staged.push({ kind: "timer", ...named, delay: item.delay, ...sent(item.message, payload.text) })
    }
  }
  return { kind: "done", reply: reply.text, ...(after === undefined ? {} : { state: after.text }), staged }
}

const sent = ({ key, to }: Message, payload: string) => ({ to, key, payload })
const failed = (reason: string): Protocol.Outcome => ({ kind: "failed", code: "TRP0303", reason })
const bounded = (why: unknown): string => Reason.full(why, 2_000)
