import { Actor, State, Subscriber } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Db } from "@troupe/postgres"
import { Service } from "@troupe/service"
import { sql } from "drizzle-orm"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

class Counter extends Contract.actor({
  key: Schema.String,
  commands: {
    add: Contract.command({ payload: { n: Schema.Int }, reply: Schema.Int }),
    /** New: how often it was added to since the deploy. */
    times: Contract.command({ reply: Schema.Int })
  },
  events: { added: Contract.event({ n: Schema.Int, total: Schema.Int }) }
}) {}

const Total = Schema.Struct({ total: Schema.Int, times: Schema.Int })

/** The next deploy of `counters`: a command more, a second version of the state, and a subscriber that the old code lacks. */
export const newer = (name: string) => {
  const contract = Contract.make(name, { Counter }, { version: 2 })
  const counter = Actor.make(contract.Counter, {
    state: State.make(Schema.Int).next(Total, (total) => ({ total, times: 0 })),
    initial: { total: 0, times: 0 }
  }).commands({
    add({ n }, self) {
      self.set({ total: self.state.total + n, times: self.state.times + 1 })
      self.emit.added({ n, total: self.state.total })
      return self.state.total
    },
    times: (_, self) => self.state.times
  })
  const log = Subscriber.make("log", { state: Schema.Int, initial: 0 }).on(
    contract.Counter.events.added,
    function* (event, self) {
      const db = yield* Db
      self.set(self.state + 1)
      yield* db
        .query((tx) =>
          tx.execute(sql`insert into app.log (key, nth, total, position)
          values (${event.key}, ${self.state}, ${event.payload.total}, ${event.position})`)
        )
        .pipe(Effect.orDie)
    }
  )
  const tally = Subscriber.make("tally", { state: Schema.Int, initial: 0 }).on(
    contract.Counter.events.added,
    (_, self) => self.set(self.state + 1)
  )
  return { contract, service: Service.make(contract, { actors: [counter], subscribers: [log, tally] }) }
}
