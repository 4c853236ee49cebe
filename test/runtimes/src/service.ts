import { readFile } from "node:fs/promises"
import { Actor } from "@troupe/actor"
import { Service } from "@troupe/service"
import * as Schema from "effect/Schema"
import { Counting, TooFew } from "./contract.ts"

const counter = Actor.make(Counting.Counter, {
  state: Schema.Struct({ left: Schema.Int }),
  initial: { left: 0 }
}).commands({
  *add({ n }, self) {
    const left = self.state.left + n
    if (left < 0) return yield* new TooFew({ left: self.state.left })
    self.set({ left })
    self.emit.added({ n, left })
    return left
  },
  clear(_, self) {
    self.set({ left: 0 })
  },
  async trespass({ file, url }) {
    const tried = (doing: Promise<unknown>): Promise<string> =>
      doing.then(
        () => "done",
        (error: Error) => `${error.name}: ${error.message}`
      )
    return { file: await tried(readFile(file)), url: await tried(fetch(url)) }
  }
})

export default Service.make(Counting, { actors: [counter] })
