import { Actor, Subscriber } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Db } from "@troupe/postgres"
import { Service } from "@troupe/service"
import { sql } from "drizzle-orm"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const commands = {
  /** Appends, and answers all of it. */
  note: Contract.command({ payload: { n: Schema.Int }, reply: Schema.Array(Schema.Int) }),
  /** The same, but fails until `app.mended` has the number, or 0. */
  guarded: Contract.command({ payload: { n: Schema.Int }, reply: Schema.Array(Schema.Int) }),
  /** Appends, but fails when it has the number: nobody may tell it twice. */
  once: Contract.command({ payload: { n: Schema.Int } }),
  /** Writes down when it was said, and when it is handled. */
  stamp: Contract.command({ payload: { n: Schema.Int } })
}
const noted = Contract.event({ n: Schema.Int })
class Ledger extends Contract.actor({ key: Schema.String, commands, events: { noted } }) {}
class Strict extends Contract.actor({ key: Schema.String, commands, whenDead: "block" }) {}
class Newer extends Contract.actor({
  key: Schema.String,
  commands: { ...commands, later: commands.note },
  events: { noted: noted.next({ numbers: Schema.Array(Schema.Int) }, ({ n }) => ({ numbers: [n] })) }
}) {}

const options = { state: Schema.Array(Schema.Int), initial: [] }
interface Self {
  readonly state: ReadonlyArray<number>
  readonly key: string
  readonly now: number
  set(state: ReadonlyArray<number>): void
}
const note = ({ n }: { readonly n: number }, self: Self): ReadonlyArray<number> => {
  self.set([...self.state, n])
  return self.state
}
const handlers = {
  note,
  *guarded({ n }: { readonly n: number }, self: Self) {
    const db = yield* Db
    const rows = yield* db
      .query((tx) => tx.execute(sql`select from app.mended where n in (0, ${n})`))
      .pipe(Effect.orDie)
    if (rows.length === 0) throw new Error(`${n} is not mended`)
    return note({ n }, self)
  },
  once({ n }: { readonly n: number }, self: Self) {
    if (self.state.includes(n)) throw new Error(`${n} was told before`)
    self.set([...self.state, n])
  },
  *stamp({ n }: { readonly n: number }, self: Self) {
    const db = yield* Db
    yield* db
      .query((tx) => tx.execute(sql`insert into app.stamped (key, n, said) values (${self.key}, ${n}, ${self.now})`))
      .pipe(Effect.orDie)
  }
}

/**
 * Actors whose state is the order in which they were told numbers, and a subscriber whose state is the order in which it heard
 * of them. The newer service has one command and one version of the event more.
 */
export const ledgers = (name: string) => {
  const contract = Contract.make(name, { Ledger, Strict })
  const strict = Actor.make(contract.Strict, options).commands(handlers)
  const newer = Contract.make(name, { Ledger: Newer, Strict }, { version: 2 })
  return {
    contract,
    service: Service.make(contract, {
      actors: [Actor.make(contract.Ledger, options).commands(handlers), strict],
      subscribers: [
        Subscriber.make("heard", options).on(contract.Ledger.events.noted, ({ payload }, self) =>
          self.set([...self.state, payload.n])
        )
      ]
    }),
    newer: Service.make(newer, {
      actors: [
        Actor.make(newer.Ledger, options).commands({ ...handlers, later: note }),
        Actor.make(newer.Strict, options).commands(handlers)
      ],
      subscribers: [
        Subscriber.make("heard", options).on(newer.Ledger.events.noted, ({ payload }, self) =>
          self.set([...self.state, ...payload.numbers])
        )
      ]
    })
  }
}
