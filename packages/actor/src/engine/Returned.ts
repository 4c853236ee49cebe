import { type Contract, Message, type Target } from "@troupe/contract"
import * as Exit from "effect/Exit"
import type { AnyRemote } from "../Actor.ts"
import type * as Protocol from "../edge/Protocol.ts"
import { TooSlow } from "../Limit.ts"
import * as Timer from "../Timer.ts"
import * as Turn from "../Turn.ts"
import { bounded, type Failure, undeclared } from "./Attempt.ts"
import type { Consumer } from "./Consumer.ts"
import type { Delivery } from "./Delivery.ts"

/** A turn as its handler left it, or why it can be none. */
export type Result = Turn.Turn | Failure

/**
 * Reads what an edge says became of a turn. An edge is not believed: everything is read by this host's contract, and goes
 * from here the way of any turn, where what was not declared is refused. A handler's defect is one here too.
 */
export const read = (
  consumer: Consumer,
  actor: AnyRemote,
  delivery: Delivery,
  before: unknown,
  outcome: Protocol.Outcome
): Exit.Exit<Result> => {
  if (outcome.kind === "died") return Exit.die(outcome.slow ? new TooSlow() : outcome.reason)
  if (outcome.kind === "failed") return Exit.succeed({ code: outcome.code, reason: outcome.reason })
  try {
    const { error, reply } = consumer.commands.get(delivery.name)!
    if (outcome.kind === "refused") {
      const refusal = decoded("an undeclared error", error.decode(outcome.error))
      return Exit.succeed({ state: before, changed: false, reply: undefined, error: refusal, staged: [] })
    }
    return Exit.succeed({
      state:
        outcome.state === undefined
          ? before
          : decoded("the state", consumer.state.decode(outcome.state, consumer.state.version)),
      changed: outcome.state !== undefined,
      reply: decoded("the reply", reply.decode(outcome.reply)),
      error: undefined,
      staged: Turn.lastOfEachTimer(outcome.staged.map((item) => staged(consumer, actor, item)))
    })
  } catch (error) {
    return Exit.succeed({ code: "TRP0303", reason: error instanceof Undeclared ? error.message : bounded(error) })
  }
}

const staged = (consumer: Consumer, actor: AnyRemote, item: Protocol.Item): Turn.StagedItem => {
  switch (item.kind) {
    case "event": {
      const type = `${consumer.name}.${item.name}`
      const wire = consumer.events.get(type)
      if (wire === undefined) throw new Undeclared(`${type} is no event of the contract`)
      return { kind: "event", name: item.name, payload: decoded(type, wire.decode(item.payload, wire.version)) }
    }
    case "command":
      return { kind: "command", message: message(actor, item) }
    case "timer":
      return {
        kind: "timer",
        name: item.name === undefined ? undefined : Timer.named(item.name),
        delay: Timer.delayOf(item.delay),
        message: message(actor, item)
      }
    case "cancel":
      return { kind: "cancel", name: Timer.named(item.name) }
  }
}

/** Whether `sends` allows it is looked at where every turn's commands are. */
const message = (
  actor: AnyRemote,
  { key, payload, to }: { readonly to: string; readonly key: string; readonly payload: string }
): Message => {
  const target = targetOf(actor, to)
  if (target === undefined) throw new Undeclared(undeclared(to, to.split(".", 2).join("."), actor))
  return new Message(to, key, decoded(to, target.payload.decode(payload)), target)
}
const targetOf = (actor: AnyRemote, to: string): Target | undefined => {
  for (const ref of [actor.ref, ...(actor.sends as ReadonlyArray<Contract.AnyActorRef>)]) {
    if (to.startsWith(`${ref.name}.`)) return ref.commands[to.slice(ref.name.length + 1)]?.target
  }
  return undefined
}

/** Not what the contract declares: said as any handler's. */
class Undeclared extends Error {}

const decoded = (
  what: string,
  read: { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly why: string }
): unknown => {
  if (!read.ok) throw new Undeclared(`${what}: ${read.why}`)
  return read.value
}
