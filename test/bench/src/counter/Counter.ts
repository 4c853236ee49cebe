import { Actor } from "@troupe/actor"
import { Service } from "@troupe/service"
import * as Schema from "effect/Schema"
import { Bench } from "./contract.ts"

const counter = Actor.make(Bench.Counter, { state: Schema.Int, initial: 0 }).commands({
  increment({ n }, self) {
    const total = self.state + n
    self.set(total)
    self.emit.incremented({ n, total })
    return total
  }
})

export default Service.make(Bench, { actors: [counter] })
