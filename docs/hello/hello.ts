import { Actor } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Service } from "@troupe/service"
import * as Schema from "effect/Schema"

// The contract: what others may ask, what they get, what they hear.
export class Nameless extends Schema.TaggedError<Nameless>()("Nameless", {}) {}

class Greeter extends Contract.actor({
  key: Schema.String,
  commands: {
    greet: Contract.command({ payload: { name: Schema.String }, reply: Schema.String, errors: [Nameless] })
  },
  events: {
    greeted: Contract.event({ name: Schema.String, times: Schema.Int })
  }
}) {}

export const Hello = Contract.make("hello", { Greeter })

// The actor: one per key, one message at a time. What it stages is committed together, and only then seen by anyone.
const greeter = Actor.make(Hello.Greeter, {
  state: Schema.Struct({ times: Schema.Int }),
  initial: { times: 0 }
}).commands({
  *greet({ name }, self) {
    if (name === "") return yield* new Nameless()
    const times = self.state.times + 1
    self.set({ times })
    self.emit.greeted({ name, times })
    return `${self.key}, ${name}! (${times})`
  }
})

export default Service.make(Hello, { actors: [greeter] })
