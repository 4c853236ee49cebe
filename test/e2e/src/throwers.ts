import { Actor, Subscriber } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Db } from "@troupe/postgres"
import { Service } from "@troupe/service"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const thrower = (): never => {
  throw new Error("from inside the value")
}
const forever = (): never => {
  for (;;);
}
const cyclic = (): Error => {
  const error = new Error("it causes itself")
  error.cause = error
  return error
}
const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
const trapped = (): object =>
  new Proxy(
    {},
    {
      get: thrower,
      has: thrower,
      ownKeys: thrower,
      getPrototypeOf: thrower,
      getOwnPropertyDescriptor: thrower
    }
  )

/** V8 itself calls `toString` of what nobody catches, unless it is an error: then this computes for ever. */
export const endless = "toJSON and toString never end"

/** What nobody can describe by the usual means. */
export const values: { readonly [name: string]: () => unknown } = {
  cyclic,
  revoked,
  trapped,
  "cyclic errors": () => new AggregateError([cyclic(), cyclic()]),
  "no text as stack": () => Object.defineProperty(new Error("a"), "stack", { value: { toString: thrower } }),
  "a getter": () => Object.defineProperty(new Error("a"), "message", { get: thrower }),
  "a getter of the cause": () => Object.defineProperty(new Error("a"), "cause", { get: thrower }),
  "no prototype": () => Object.create(null),
  "a name whose toString never ends": () => Object.assign(new Error("a"), { name: { toString: forever } }),
  [endless]: () => ({ toJSON: forever, toString: forever }),
  "toPrimitive throws": () => ({ [Symbol.toPrimitive]: thrower }),
  "a tag that throws": () => Object.defineProperty({}, "_tag", { get: thrower }),
  "a tag of ours": () => ({ _tag: "DbError", cause: cyclic() }),
  "a message of 20 MB": () => new Error("x".repeat(20 * 1024 ** 2)),
  "null characters": () => new Error("\0 \ud800"),
  "an empty text": () => "",
  undefined: () => undefined,
  "a symbol": () => Symbol("a"),
  "a function": () => () => {},
  "a bigint": () => 1n << 1_000_000n,
  "an array with holes": () => Object.assign([], { length: 2 ** 32 - 1 })
}

type Throw = (thrown: unknown, self: Staging) => unknown
interface Staging {
  set(state: never): void
  readonly emit: { said(payload: never): void }
}
const hostile = (thrown: unknown): never =>
  ({
    get value() {
      throw thrown
    }
  }) as never

/** All ways in which a handler can end with a value. */
export const forms: { readonly [name: string]: Throw } = {
  plain: (thrown) => {
    throw thrown
  },
  generator: function* (thrown) {
    yield* Effect.void
    throw thrown
  },
  async: async (thrown) => {
    await Promise.resolve()
    throw thrown
  },
  die: (thrown) => Effect.die(thrown),
  fail: (thrown) => Effect.fail(thrown),
  "die later": (thrown) => Effect.andThen(Effect.sleep(1), Effect.die(thrown)),
  "an effect that throws": (thrown) =>
    Effect.sync(() => {
      throw thrown
    }),
  "a timer": (thrown) => {
    setTimeout(() => {
      throw thrown
    })
    return Effect.never
  },
  "what is no effect": function* (thrown): Generator<unknown, void, never> {
    yield* Effect.sleep(1)
    yield thrown
  },
  "a reply": (thrown) => hostile(thrown),
  "a state": (thrown, self) => self.set(hostile(thrown)),
  "an event": (thrown, self) => self.emit.said(hostile(thrown))
}

const value = { value: Schema.String }
class Thrower extends Contract.actor({
  key: Schema.String,
  commands: {
    fails: Contract.command({ payload: { ...value, form: Schema.String }, reply: Schema.Struct(value) }),
    /** The same in a statement of its own. */
    queries: Contract.command({ payload: value }),
    /** The same when a timer fires. */
    failsLater: Contract.command({ payload: value }),
    /** The same in a subscriber. */
    failsElsewhere: Contract.command({ payload: value }),
    /** Answers, and throws the same afterwards. */
    leaves: Contract.command({ payload: value }),
    goesOn: Contract.command({ reply: Schema.Int })
  },
  events: { said: Contract.event(value) }
}) {}

/** An actor and a subscriber that throw what they are told to. */
export const throwers = (name: string) => {
  const contract = Contract.make(name, { Thrower })
  const actor = Actor.make(contract.Thrower, {
    state: Schema.Struct({ value: Schema.String, times: Schema.Int }),
    initial: { value: "", times: 0 }
  }).commands({
    fails: ({ form, value }, self) => forms[form]!(values[value]!(), self) as never,
    *queries({ value }) {
      const db = yield* Db
      yield* db.query(() => Promise.reject(values[value]!())) as Effect.Effect<never, never>
    },
    failsLater: ({ value }, self) =>
      self.timer(value, 1, contract.Thrower.at(self.key).fails({ form: "plain", value })),
    failsElsewhere: ({ value }, self) => self.emit.said({ value }),
    leaves({ value }) {
      const thrown = values[value]!()
      void Promise.reject(thrown)
      setTimeout(() => {
        throw thrown
      })
    },
    goesOn(_, self) {
      self.set({ value: "", times: self.state.times + 1 })
      return self.state.times
    }
  })
  return {
    contract,
    service: Service.make(contract, {
      actors: [actor],
      subscribers: [
        Subscriber.make("hears").on(contract.Thrower.events.said, ({ payload: { value } }) => {
          throw values[value]!()
        })
      ]
    })
  }
}
