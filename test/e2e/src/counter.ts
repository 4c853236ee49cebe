// The actor of the counters, as any runtime may load it: nothing of Node, no database.
import { Actor } from "@troupe/actor"
import type { Handlers } from "@troupe/actor/Handler"
import { Contract } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { n: Schema.Int }) {}

/** Ways to harm the process that a handler runs in. */
const harms = [
  "timer while it waits",
  "timer after its turn",
  "error event",
  "exit",
  "kill",
  "memory",
  "compute"
] as const

class Counter extends Contract.actor({
  key: Schema.String,
  commands: {
    add: Contract.command({ payload: { n: Schema.Int }, reply: Schema.Int, errors: [TooMuch] }),
    /** Adds, and writes a row by `Db` first, and then waits for so long: the row and the state stand or fall together. */
    record: Contract.command({
      payload: {
        n: Schema.Int,
        ms: Schema.optionalKey(Schema.Int),
        then: Schema.Literals(["reply", "refuse", "throw", "defer", "shout", "say"])
      },
      reply: Schema.Int,
      errors: [TooMuch]
    }),
    /** Throws until it was tried `times` times in this process. */
    flaky: Contract.command({ payload: { times: Schema.Int }, reply: Schema.Int }),
    /** Stages an event of so many characters. */
    shout: Contract.command({ payload: { length: Schema.Int } }),
    hang: Contract.command({}),
    /** Does by `Db` what no handler should. */
    abuse: Contract.command({ payload: { statement: Schema.String } }),
    /** Stages what no type allows. */
    junk: Contract.command({}),
    /** Leaves a rejected promise behind that nobody waits for. */
    float: Contract.command({}),
    /** Does to its process what no handler should. */
    harm: Contract.command({ payload: { how: Schema.Literals(harms), ms: Schema.optionalKey(Schema.Int) } }),
    /** What the engine says of time and chance. */
    dice: Contract.command({ reply: Schema.Struct({ now: Schema.Number, roll: Schema.Number }) }),
    /** Sets a timer of `add`, cancels it when there is no delay, and then does what `then` says. */
    later: Contract.command({
      payload: {
        name: Schema.String,
        ms: Schema.NullOr(Schema.Number),
        n: Schema.Int,
        then: Schema.Literals(["reply", "write", "refuse"])
      },
      errors: [TooMuch]
    }),
    /** Sends `add` to other keys. */
    spread: Contract.command({ payload: { to: Schema.Array(Schema.String) } })
  },
  events: {
    added: Contract.event({ n: Schema.Int, total: Schema.Int }),
    shouted: Contract.event({ text: Schema.String })
  }
}) {}

type Pure = "add" | "flaky" | "shout" | "hang" | "junk" | "float" | "dice" | "later" | "spread"

/** The counters under a name of their own, so that tests share one server, and the handlers that need no database. */
export const counter = <const Name extends string>(name: Name) => {
  const contract = Contract.make(name, { Counter })
  const declared = Actor.make(contract.Counter, { state: Schema.Int, initial: 0, sends: [contract.Counter] })
  const tries = new Map<string, number>()
  type All = Handlers<typeof Counter, number, `${Name}.Counter`, never>
  const later = function* (...[{ ms, n, name, then }, self]: Parameters<All["later"]>) {
    if (ms === null) self.cancelTimer(name)
    else self.timer(name, ms, contract.Counter.at(self.key).add({ n }))
    if (then === "refuse") return yield* new TooMuch({ n })
  }
  const pure: Pick<All, Pure> = {
    *add({ n }, self) {
      if (n > 1_000) return yield* new TooMuch({ n })
      self.set(self.state + n)
      self.emit.added({ n, total: self.state })
      return self.state
    },
    flaky({ times }, self) {
      const tried = (tries.get(self.messageId) ?? 0) + 1
      tries.set(self.messageId, tried)
      if (tried < times) throw new Error(`try ${tried}`)
      return tried
    },
    shout({ length }, self) {
      self.emit.shouted({ text: "a".repeat(length) })
    },
    // Nor can it be interrupted.
    hang: () => Effect.uninterruptible(Effect.never),
    junk(_, self) {
      self.send(undefined as never)
    },
    float: async () => {
      void Promise.reject(new Error("floated"))
    },
    dice: (_, self) => ({ now: self.now, roll: self.random() }),
    later,
    spread({ to }, self) {
      for (const key of to) self.send(contract.Counter.at(key).add({ n: 1 }))
    }
  }
  return { contract, declared, pure, later }
}
