import { Actor } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Service } from "@troupe/service"
import * as Schema from "effect/Schema"

class Counter extends Contract.actor({
  key: Schema.String,
  commands: {
    increment: Contract.command({ payload: { n: Schema.Int }, reply: Schema.Int })
  },
  events: {
    incremented: Contract.event({ n: Schema.Int, total: Schema.Int })
  }
}) {}

export const name = "bench"

export const Bench = Contract.make(name, { Counter })

const counter = Actor.make(Bench.Counter, { state: Schema.Int, initial: 0 }).commands({
  increment({ n }, self) {
    const total = self.state + n
    self.set(total)
    self.emit.incremented({ n, total })
    return total
  }
})

export default Service.make(Bench, { actors: [counter] })
