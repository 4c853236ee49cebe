import { EventEmitter } from "node:events"
import v8 from "node:v8"
import { type Actor, Subscriber } from "@troupe/actor"
import { Db } from "@troupe/postgres"
import { Service } from "@troupe/service"
import { sql } from "drizzle-orm"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { counter, TooMuch } from "./counter.ts"

const harms = {
  "timer while it waits": () => {
    setTimeout(() => {
      throw new Error("thrown by a timer")
    }, 5)
    return Effect.never
  },
  "timer after its turn": () => {
    setTimeout(() => {
      throw new Error("thrown by a timer")
    }, 5)
  },
  "error event": () => {
    const emitter = new EventEmitter()
    setImmediate(() => emitter.emit("error", new Error("nobody listens")))
  },
  exit: () => process.exit(3),
  kill: () => {
    process.kill(process.pid, "SIGKILL")
    // It strikes while this still runs.
    for (;;);
  },
  memory: () => {
    v8.setFlagsFromString("--max-heap-size=300")
    for (const kept: Array<unknown> = []; ;) kept.push(Array.from({ length: 1_000 }, () => ({})))
  },
  compute: (ms: number) => {
    for (const since = performance.now(); performance.now() - since < ms;);
  }
}

/** The service of these tests. With `edge` the handlers of its actor run there. */
export const counters = (name: string, edge?: Actor.EdgeOptions) => {
  const { contract, declared, later, pure } = counter(name)
  const here = declared.commands({
    ...pure,
    *record({ ms, n, then }, self) {
      const db = yield* Db
      yield* db
        .query((tx) => tx.execute(sql`insert into app.recorded (key, n) values (${self.key}, ${n})`))
        .pipe(Effect.orDie)
      if (ms !== undefined) yield* Effect.sleep(ms)
      if (then === "refuse") return yield* new TooMuch({ n })
      if (then === "throw") throw new Error("recorded, then failed")
      if (then === "shout") self.emit.shouted({ text: "a".repeat(2_000_000) })
      if (then === "defer")
        yield* db.query((tx) => tx.execute(sql`insert into app.deferred values (${n})`)).pipe(Effect.orDie)
      self.set(self.state + n)
      if (then === "say") self.emit.added({ n, total: self.state })
      return self.state
    },
    *abuse({ statement }) {
      const db = yield* Db
      const parameter = statement === "date" ? sql`select ${new Date(0)}` : sql.raw(statement)
      yield* db.query((tx) => tx.execute(parameter)).pipe(Effect.orDie)
    },
    harm: ({ how, ms = 0 }) => harms[how](ms),
    *later(said, self) {
      yield* later(said, self)
      if (said.then === "write") yield* (yield* Db).query((tx) => tx.execute(sql`select 1`)).pipe(Effect.orDie)
    }
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
  const actor = edge === undefined ? here : declared.remote(edge)
  return { contract, service: Service.make(contract, { actors: [actor], subscribers: [log] }) }
}

/** Tables of the service, in schema `app`. No constraint: what is written twice must show. */
export const tables = `
  create table app.log (id bigint generated always as identity, key text, nth int, total int, position bigint);
  create table app.recorded (id bigint generated always as identity, key text, n int);
  create table app.mended (n int);
  create table app.stamped (key text, n int, said float8, at timestamptz default clock_timestamp());
  create table app.deferred (n int, unique (n) deferrable initially deferred);
`
