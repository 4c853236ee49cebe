import { Contract } from "@troupe/contract"
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
