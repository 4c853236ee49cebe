import { Actor, State, Subscriber } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export class Closed extends Schema.TaggedError<Closed>()("Closed", { until: Schema.Date }) {}
export class Foreign extends Schema.TaggedError<Foreign>()("Foreign", {}) {}
export class Dish extends Schema.Class<Dish>("Dish")({ name: Schema.String, portions: Schema.Int }) {
  get plates() {
    return this.portions * 2
  }
}
class Table extends Contract.actor({
  key: Schema.String,
  commands: { serve: Contract.command({ payload: { plates: Schema.Int } }) }
}) {}
class Stove extends Contract.actor({
  key: Schema.String,
  commands: {
    cook: Contract.command({ payload: { dish: Dish, at: Schema.Date }, reply: Dish, errors: [Closed] }),
    clean: Contract.command({})
  },
  events: {
    cooked: Contract.event({ dish: Dish }).next({ dish: Dish, at: Schema.Date }, ({ dish }) => ({
      dish,
      at: new Date(0)
    })),
    cleaned: Contract.event()
  }
}) {}
export const Kitchen = Contract.make("kitchen", { Stove })
export const Room = Contract.make("room", { Table })

export class StoveState extends Schema.Class<StoveState>("StoveState")({
  cooked: Schema.Int,
  last: Schema.optionalKey(Dish)
}) {
  get busy() {
    return this.cooked >= 2
  }
}
const until = new Date(1_000)
const options = { state: StoveState, initial: { cooked: 0, busy: false }, sends: [Room.Table] } as const

/** The same actor in the four styles of handlers. */
export const stoves = {
  generator: Actor.make(Kitchen.Stove, options).commands({
    *cook({ at, dish }, self) {
      if (self.state.busy) return yield* new Closed({ until })
      self.set(new StoveState({ cooked: self.state.cooked + 1, last: dish }))
      self.emit.cooked({ dish, at })
      self.send(Room.Table.at(self.key).serve({ plates: dish.plates }))
      return dish
    },
    clean: (_, self) => self.emit.cleaned()
  }),
  effect: Actor.make(Kitchen.Stove, options).commands({
    cook: Effect.fn("cook")(function* ({ at, dish }, self) {
      if (self.state.busy) return yield* new Closed({ until })
      self.set(new StoveState({ cooked: self.state.cooked + 1, last: dish }))
      self.emit.cooked({ dish, at })
      self.send(Room.Table.at(self.key).serve({ plates: dish.plates }))
      return dish
    }),
    clean: (_, self) => Effect.sync(() => self.emit.cleaned())
  }),
  async: Actor.make(Kitchen.Stove, options).commands({
    async cook({ at, dish }, self) {
      await Promise.resolve()
      if (self.state.busy) return self.fail(new Closed({ until }))
      self.set(new StoveState({ cooked: self.state.cooked + 1, last: dish }))
      self.emit.cooked({ dish, at })
      self.send(Room.Table.at(self.key).serve({ plates: dish.plates }))
      return dish
    },
    clean: async (_, self) => self.emit.cleaned()
  }),
  plain: Actor.make(Kitchen.Stove, options).commands({
    cook({ at, dish }, self) {
      if (self.state.busy) return self.fail(new Closed({ until }))
      self.set(new StoveState({ cooked: self.state.cooked + 1, last: dish }))
      self.emit.cooked({ dish, at })
      self.send(Room.Table.at(self.key).serve({ plates: dish.plates }))
      return dish
    },
    clean: (_, self) => self.emit.cleaned()
  })
}

/** A stove whose `clean` does what it should not. */
export const stoveThat = (clean: (self: Careless) => void) =>
  Actor.make(Kitchen.Stove, options).commands({
    cook: ({ dish }) => dish,
    clean: (_, self) => clean(self as unknown as Careless)
  })
/** `self` without the types that would keep a handler from it. */
export interface Careless {
  readonly now: number
  readonly messageId: string
  readonly emit: { cooked(payload: unknown): void }
  random(): number
  set(state: unknown): void
  send(message: unknown, options?: unknown): void
  timer(name: string, delay: unknown, message: unknown): void
  cancelTimer(name: string): void
  fail(error: unknown): never
}

export const waiter = Subscriber.make("waiter", {
  state: State.make(Schema.Struct({ n: Schema.Int })).next(Schema.Struct({ served: Schema.Int }), ({ n }) => ({
    served: n
  })),
  initial: { served: 0 },
  sends: [Room.Table]
}).on(Kitchen.Stove.events.cooked, ({ key, payload }, self) => {
  self.set({ served: self.state.served + payload.dish.plates })
  self.send(Room.Table.at(key).serve({ plates: payload.dish.plates }))
})
