import { Actor, Subscriber } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Db } from "@troupe/postgres"
import { Service } from "@troupe/service"
import { sql } from "drizzle-orm"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export class AlreadyOpen extends Schema.TaggedError<AlreadyOpen>()("AlreadyOpen", {}) {}
export class NotEnough extends Schema.TaggedError<NotEnough>()("NotEnough", { balance: Schema.Int }) {}
/** The money has not come to the hold yet. */
export class NotHeld extends Schema.TaggedError<NotHeld>()("NotHeld", {}) {}
/** The money has left the hold. */
export class TooLate extends Schema.TaggedError<TooLate>()("TooLate", {}) {}

/** State of an account, and the answer to a change of it: `nth` counts the changes from 1. */
const Receipt = Schema.Struct({ nth: Schema.Int, balance: Schema.Int })
export type Receipt = typeof Receipt.Type

const Change = { nth: Schema.Int, balance: Schema.Int }
const Part = { ...Change, transfer: Schema.String, cents: Schema.Int }

class Account extends Contract.actor({
  key: Schema.String,
  commands: {
    open: Contract.command({ payload: { cents: Schema.Int }, reply: Receipt, errors: [AlreadyOpen] }),
    /** Debits this account and credits the other. The message's id is the transfer's. */
    transfer: Contract.command({
      payload: { to: Schema.String, cents: Schema.Int },
      reply: Receipt,
      errors: [NotEnough]
    }),
    credit: Contract.command({ payload: { transfer: Schema.String, cents: Schema.Int } }),
    /** Debits this account; a hold of its own keeps the money until it is settled, or returns it after `held`. */
    reserve: Contract.command({ payload: { cents: Schema.Int }, reply: Receipt, errors: [NotEnough] }),
    /** To a hold: takes the money of a transfer from an account. */
    hold: Contract.command({ payload: { transfer: Schema.String, from: Schema.String, cents: Schema.Int } }),
    /** To a hold: credits an account with the money. */
    settle: Contract.command({
      payload: { transfer: Schema.String, to: Schema.String },
      reply: Receipt,
      errors: [NotHeld, TooLate]
    }),
    /** To a hold, by its timer: credits the account that the money came from. */
    giveBack: Contract.command({ payload: { transfer: Schema.String, to: Schema.String } })
  },
  events: {
    opened: Contract.event(Change),
    debited: Contract.event(Part),
    credited: Contract.event(Part),
    held: Contract.event(Part),
    settled: Contract.event(Part),
    returned: Contract.event(Part)
  }
}) {}

export const name = "bank"
export const contract = Contract.make(name, { Account })

/** How long a hold keeps its money, in ms: far longer than a settlement takes, so that both at once are rare. */
export const held = 20_000
/** The hold of a transfer: a key of its own, so that no other change of an account depends on when its timer fires. */
export const holdOf = (transfer: string): string => `hold ${transfer}`

/** The bank. A credit to an account that is poisoned throws. */
export const bank = (isPoisoned: (key: string) => boolean) => {
  const account = Actor.make(contract.Account, {
    state: Receipt,
    initial: { nth: 0, balance: 0 },
    sends: [contract.Account]
  }).commands({
    *open({ cents }, self) {
      if (self.state.nth > 0) return yield* new AlreadyOpen()
      self.set({ nth: 1, balance: cents })
      self.emit.opened(self.state)
      return self.state
    },
    *transfer({ cents, to }, self) {
      const { balance, nth } = self.state
      if (balance < cents) return yield* new NotEnough({ balance })
      self.set({ nth: nth + 1, balance: balance - cents })
      self.emit.debited({ ...self.state, transfer: self.messageId, cents })
      self.send(contract.Account.at(to).credit({ transfer: self.messageId, cents }))
      return self.state
    },
    credit({ cents, transfer }, self) {
      if (isPoisoned(self.key)) throw new Error(`${self.key} is poisoned`)
      const { balance, nth } = self.state
      self.set({ nth: nth + 1, balance: balance + cents })
      self.emit.credited({ ...self.state, transfer, cents })
    },
    *reserve({ cents }, self) {
      const { balance, nth } = self.state
      if (balance < cents) return yield* new NotEnough({ balance })
      const transfer = self.messageId
      self.set({ nth: nth + 1, balance: balance - cents })
      self.emit.debited({ ...self.state, transfer, cents })
      self.send(contract.Account.at(holdOf(transfer)).hold({ transfer, from: self.key, cents }))
      return self.state
    },
    hold({ cents, from, transfer }, self) {
      self.set({ nth: self.state.nth + 1, balance: self.state.balance + cents })
      self.emit.held({ ...self.state, transfer, cents })
      self.timer("unsettled", held, contract.Account.at(self.key).giveBack({ transfer, to: from }))
    },
    *settle({ to, transfer }, self) {
      const { balance: cents, nth } = self.state
      if (nth === 0) return yield* new NotHeld()
      if (cents === 0) return yield* new TooLate()
      self.set({ nth: nth + 1, balance: 0 })
      self.emit.settled({ ...self.state, transfer, cents })
      self.cancelTimer("unsettled")
      self.send(contract.Account.at(to).credit({ transfer, cents }))
      return self.state
    },
    giveBack({ to, transfer }, self) {
      const { balance: cents, nth } = self.state
      // No look at the balance: a timer that fires although it was cancelled must show.
      self.set({ nth: nth + 1, balance: 0 })
      self.emit.returned({ ...self.state, transfer, cents })
      self.send(contract.Account.at(to).credit({ transfer, cents }))
    }
  })
  const events = contract.Account.events
  const write = (key: string, what: string, nth: number, balance: number, transfer: string | null) =>
    Effect.gen(function* () {
      const db = yield* Db
      yield* db
        .query((tx) =>
          tx.execute(sql`insert into app.ledger (key, what, nth, balance, transfer)
            values (${key}, ${what}, ${nth}, ${balance}, ${transfer})`)
        )
        .pipe(Effect.orDie)
    })
  const writes =
    (what: string) =>
    ({ key, payload }: { readonly key: string; readonly payload: Receipt & { readonly transfer: string } }) =>
      write(key, what, payload.nth, payload.balance, payload.transfer)
  const ledger = Subscriber.make("ledger")
    .on(events.opened, ({ key, payload }) => write(key, "opened", payload.nth, payload.balance, null))
    .on(events.debited, writes("debited"))
    .on(events.credited, writes("credited"))
    .on(events.held, writes("held"))
    .on(events.settled, writes("settled"))
    .on(events.returned, writes("returned"))
  return Service.make(contract, { actors: [account], subscribers: [ledger] })
}

/**
 * Tables of the bank, in schema `app`. No constraint: what is written twice must show. Every commit of a partition leaves
 * its number in `app.marked`, since the engine itself keeps the last two only. `app.witness` shows that a database was
 * set back: what was written before is gone.
 */
export const tables = `
  create table app.ledger (id bigint generated always as identity, key text, what text, nth int, balance int, transfer text);
  create table app.ordered (id text);
  create table app.marked (consumer int, p int, n bigint);
  create table app.witness (id text);
  create function app.log_mark() returns trigger language plpgsql as $$
  begin
    insert into app.marked values (new.consumer, new.p, new.n);
    return null;
  end $$;
  create trigger logged after insert on troupe.mark for each row execute function app.log_mark();
`
