import { Actor, Subscriber } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Db } from "@troupe/postgres"
import { Service } from "@troupe/service"
import { sql } from "drizzle-orm"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { n: Schema.Int }) {}

class Counter extends Contract.actor({
  key: Schema.String,
  commands: {
    add: Contract.command({ payload: { n: Schema.Int }, reply: Schema.Int, errors: [TooMuch] }),
    /** Adds, and writes a row by `Db` first: the row and the state stand or fall together. */
    record: Contract.command({
      payload: { n: Schema.Int, then: Schema.Literals(["reply", "refuse", "throw", "defer", "shout", "say"]) },
      reply: Schema.Int,
      errors: [TooMuch]
    }),
    /** Throws until it was tried `times` times in this process. */
    flaky: Contract.command({ payload: { times: Schema.Int }, reply: Schema.Int }),
    /** Stages an event of so many characters. */
    shout: Contract.command({ payload: { length: Schema.Int } }),
    hang: Contract.command({}),
    /** Does by `Db` what no handler should. */
    abuse: Contract.command({ payload: { statement: Schema.String } }),
    /** Stages what no type allows. */
    junk: Contract.command({}),
    /** Leaves a rejected promise behind that nobody waits for. */
    float: Contract.command({}),
    /** What the engine says of time and chance. */
    dice: Contract.command({ reply: Schema.Struct({ now: Schema.Number, roll: Schema.Number }) }),
    /** Sets a timer of `add`, cancels it when there is no delay, and then does what `then` says. */
    later: Contract.command({
      payload: {
        name: Schema.String,
        ms: Schema.NullOr(Schema.Number),
        n: Schema.Int,
        then: Schema.Literals(["reply", "write", "refuse"])
      },
      errors: [TooMuch]
    }),
    /** Sends `add` to other keys. */
    spread: Contract.command({ payload: { to: Schema.Array(Schema.String) } })
  },
  events: {
    added: Contract.event({ n: Schema.Int, total: Schema.Int }),
    shouted: Contract.event({ text: Schema.String })
  }
}) {}

/** The service of these tests, under a name of its own, so that tests share one server. */
export const counters = (name: string) => {
  const contract = Contract.make(name, { Counter })
  const tries = new Map<string, number>()
  const counter = Actor.make(contract.Counter, { state: Schema.Int, initial: 0, sends: [contract.Counter] }).commands({
    *add({ n }, self) {
      if (n > 1_000) return yield* new TooMuch({ n })
      self.set(self.state + n)
      self.emit.added({ n, total: self.state })
      return self.state
    },
    *record({ n, then }, self) {
      const db = yield* Db
      yield* db
        .query((tx) => tx.execute(sql`insert into app.recorded (key, n) values (${self.key}, ${n})`))
        .pipe(Effect.orDie)
      if (then === "refuse") return yield* new TooMuch({ n })
      if (then === "throw") throw new Error("recorded, then failed")
      if (then === "shout") self.emit.shouted({ text: "a".repeat(2_000_000) })
      if (then === "defer")
        yield* db.query((tx) => tx.execute(sql`insert into app.deferred values (${n})`)).pipe(Effect.orDie)
      self.set(self.state + n)
      if (then === "say") self.emit.added({ n, total: self.state })
      return self.state
    },
    flaky({ times }, self) {
      const tried = (tries.get(self.messageId) ?? 0) + 1
      tries.set(self.messageId, tried)
      if (tried < times) throw new Error(`try ${tried}`)
      return tried
    },
    shout({ length }, self) {
      self.emit.shouted({ text: "a".repeat(length) })
    },
    // Nor can it be interrupted.
    hang: () => Effect.uninterruptible(Effect.never),
    *abuse({ statement }) {
      const db = yield* Db
      const parameter = statement === "date" ? sql`select ${new Date(0)}` : sql.raw(statement)
      yield* db.query((tx) => tx.execute(parameter)).pipe(Effect.orDie)
    },
    junk(_, self) {
      self.send(undefined as never)
    },
    float: async () => {
      void Promise.reject(new Error("floated"))
    },
    dice: (_, self) => ({ now: self.now, roll: self.random() }),
    *later({ ms, n, name, then }, self) {
      if (ms === null) self.cancelTimer(name)
      else self.timer(name, ms, contract.Counter.at(self.key).add({ n }))
      if (then === "refuse") return yield* new TooMuch({ n })
      if (then === "write") yield* (yield* Db).query((tx) => tx.execute(sql`select 1`)).pipe(Effect.orDie)
    },
    spread({ to }, self) {
      for (const key of to) self.send(contract.Counter.at(key).add({ n: 1 }))
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
  return { contract, service: Service.make(contract, { actors: [counter], subscribers: [log] }) }
}

/** Tables of the service, in schema `app`. No constraint: what is written twice must show. */
export const tables = `
  create table app.log (id bigint generated always as identity, key text, nth int, total int, position bigint);
  create table app.recorded (id bigint generated always as identity, key text, n int);
  create table app.mended (n int);
  create table app.stamped (key text, n int, said float8, at timestamptz default clock_timestamp());
  create table app.deferred (n int, unique (n) deferrable initially deferred);
`
