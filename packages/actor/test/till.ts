import { Actor, Subscriber } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export class Broke extends Schema.TaggedError<Broke>()("Broke", { cents: Schema.Int }) {}

class Till extends Contract.actor({
  key: Schema.String,
  commands: {
    pay: Contract.command({ payload: { cents: Schema.Int }, reply: Schema.Int, errors: [Broke] }),
    close: Contract.command({})
  },
  events: {
    paid: Contract.event({ cents: Schema.Int }).next({ cents: Schema.Int, currency: Schema.String }, ({ cents }) => ({
      cents,
      currency: "EUR"
    })),
    closed: Contract.event()
  }
}) {}
class Safe extends Contract.actor({
  key: Schema.String,
  commands: { put: Contract.command({ payload: { cents: Schema.Int } }) }
}) {}
export const Shop = Contract.make("shop", { Till })
export const Bank = Contract.make("bank", { Safe })

const options = { state: Schema.Int, initial: 0, sends: [Bank.Safe] } as const

/** The same actor in the four styles. Each stages everything before it refuses, so that a refusal has something to undo. */
export const tills = {
  generator: Actor.make(Shop.Till, options).commands({
    *pay({ cents }, self) {
      self.set(self.state + cents)
      self.emit.paid({ cents, currency: "EUR" })
      self.send(Bank.Safe.at(self.key).put({ cents }))
      yield* Effect.void
      if (cents < 0) return yield* new Broke({ cents })
      return self.state
    },
    close: (_, self) => self.emit.closed()
  }),
  effect: Actor.make(Shop.Till, options).commands({
    pay: Effect.fn("pay")(function* ({ cents }, self) {
      self.set(self.state + cents)
      self.emit.paid({ cents, currency: "EUR" })
      self.send(Bank.Safe.at(self.key).put({ cents }))
      if (cents < 0) return yield* new Broke({ cents })
      return self.state
    }),
    close: (_, self) => Effect.sync(() => self.emit.closed())
  }),
  async: Actor.make(Shop.Till, options).commands({
    async pay({ cents }, self) {
      self.set(self.state + cents)
      await Promise.resolve()
      self.emit.paid({ cents, currency: "EUR" })
      self.send(Bank.Safe.at(self.key).put({ cents }))
      if (cents < 0) self.fail(new Broke({ cents }))
      return self.state
    },
    close: async (_, self) => self.emit.closed()
  }),
  plain: Actor.make(Shop.Till, options).commands({
    pay({ cents }, self) {
      self.set(self.state + cents)
      self.emit.paid({ cents, currency: "EUR" })
      self.send(Bank.Safe.at(self.key).put({ cents }))
      if (cents < 0) self.fail(new Broke({ cents }))
      return self.state
    },
    close: (_, self) => self.emit.closed()
  })
}

export const bookkeeper = Subscriber.make("bookkeeper", options).on(Shop.Till.events.paid, (event, self) => {
  self.set(self.state + event.payload.cents)
  self.send(Bank.Safe.at(event.key).put({ cents: event.payload.cents }))
})
