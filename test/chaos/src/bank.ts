import { Actor, Subscriber } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Db } from "@troupe/postgres"
import { Service } from "@troupe/service"
import { sql } from "drizzle-orm"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export class AlreadyOpen extends Schema.TaggedError<AlreadyOpen>()("AlreadyOpen", {}) {}
export class NotEnough extends Schema.TaggedError<NotEnough>()("NotEnough", { balance: Schema.Int }) {}

/** What an account says of its last change: `nth` counts its changes from 1. */
const Receipt = Schema.Struct({ nth: Schema.Int, balance: Schema.Int })
export type Receipt = typeof Receipt.Type

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
    credit: Contract.command({ payload: { transfer: Schema.String, cents: Schema.Int } })
  },
  events: {
    opened: Contract.event({ nth: Schema.Int, balance: Schema.Int }),
    debited: Contract.event({ nth: Schema.Int, balance: Schema.Int, transfer: Schema.String, cents: Schema.Int }),
    credited: Contract.event({ nth: Schema.Int, balance: Schema.Int, transfer: Schema.String, cents: Schema.Int })
  }
}) {}

export const name = "bank"
export const contract = Contract.make(name, { Account })

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
    }
  })
  const { credited, debited, opened } = contract.Account.events
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
  const ledger = Subscriber.make("ledger")
    .on(opened, ({ key, payload }) => write(key, "opened", payload.nth, payload.balance, null))
    .on(debited, ({ key, payload }) => write(key, "debited", payload.nth, payload.balance, payload.transfer))
    .on(credited, ({ key, payload }) => write(key, "credited", payload.nth, payload.balance, payload.transfer))
  return Service.make(contract, { actors: [account], subscribers: [ledger] })
}

/**
 * Tables of the bank, in schema `app`. No constraint: what is written twice must show. Every commit of a partition leaves
 * its number in `app.marked`, since the engine itself keeps the last two only.
 */
export const tables = `
  create table app.ledger (id bigint generated always as identity, key text, what text, nth int, balance int, transfer text);
  create table app.ordered (id text);
  create table app.marked (consumer int, p int, n bigint);
  create function app.log_mark() returns trigger language plpgsql as $$
  begin
    insert into app.marked values (new.consumer, new.p, new.n);
    return null;
  end $$;
  create trigger logged after insert on troupe.mark for each row execute function app.log_mark();
`
