import { readFile } from "node:fs/promises"
import { Actor, Subscriber } from "@troupe/actor"
import { Db } from "@troupe/postgres"
import { Service } from "@troupe/service"
import { sql } from "drizzle-orm"
import { integer, pgSchema, text } from "drizzle-orm/pg-core"
import * as Effect from "effect/Effect"
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
  later({ n }, self) {
    self.timer("later", "50 millis", Counting.Counter.at(self.key).add({ n }))
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

const total = pgSchema("app").table("total", { key: text().primaryKey(), added: integer().notNull() })

/** What was added to each counter, in a table of its own. */
const totals = Subscriber.make("totals").on(Counting.Counter.events.added, function* ({ key, payload: { n } }) {
  const db = yield* Db
  yield* db
    .query((tx) =>
      tx
        .insert(total)
        .values({ key, added: n })
        .onConflictDoUpdate({ target: total.key, set: { added: sql`${total.added} + ${n}` } })
    )
    .pipe(Effect.orDie)
})

export default Service.make(Counting, { actors: [counter], subscribers: [totals] })
