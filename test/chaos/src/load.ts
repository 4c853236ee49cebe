import { randomUUID } from "node:crypto"
import { Client, ClientError } from "@troupe/client"
import { Outbox } from "@troupe/outbox"
import { Db } from "@troupe/postgres"
import { sql } from "drizzle-orm"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { contract, NotEnough, type Receipt } from "./bank.ts"
import { poisonable } from "./schedule.ts"

/** What an account begins with. */
export const opening = 1_000
export const accounts = Array.from({ length: 48 }, (_, i) => `account ${i} é`)

/** A transfer that was wanted, and what the client knows of it. */
export interface Wanted {
  readonly id: string
  /** Asked until it is answered; sent once; or enqueued in a transaction that also writes `app.ordered`. */
  readonly how: "ask" | "send" | "enqueue"
  /** `sent`: the stream has it, or the transaction was committed. `unknown`: nobody said. */
  known: "unknown" | "sent" | "refused" | Receipt
}

/** What happened at the clients of a run. */
export interface Journal {
  readonly wanted: Map<string, Wanted>
  /** Errors that no client should ever see. */
  readonly problems: Array<string>
  /** No new transfers are begun. */
  closed: boolean
}

const again = Schedule.spaced("100 millis")
const retryable = (error: unknown): boolean => error instanceof ClientError && error.retryable

/** The account has not enough, or the ask was too old when its turn came: it is not applied, now or later. */
const isRefusal = (error: unknown): boolean =>
  error instanceof NotEnough ||
  (error instanceof ClientError && error.reason._tag === "Rejected" && error.reason.code === "TRP0212")

export const openAll: Effect.Effect<void, unknown, Client> = Effect.gen(function* () {
  const client = yield* Client
  yield* Effect.forEach(
    accounts,
    (key) =>
      client
        .ask(contract.Account.at(key).open({ cents: opening }), { timeout: "90 seconds" })
        .pipe(Effect.retry({ while: retryable, schedule: again })),
    { concurrency: 16, discard: true }
  )
})

/** Wants transfers, 16 at a time and about 150 a second, until the journal is closed and all asks are answered. */
export const load = (seed: number, journal: Journal): Effect.Effect<void, never, Client | Db> =>
  Effect.forEach(Array.from({ length: 16 }), (_, nth) => Random.withSeed(worker(journal), `${seed} ${nth}`), {
    concurrency: "unbounded",
    discard: true
  })

const worker = (journal: Journal): Effect.Effect<void, never, Client | Db> =>
  Effect.gen(function* () {
    const from = yield* Random.choice(accounts)
    const to = yield* Random.choice((yield* Random.next) < 0.1 ? poisonable : accounts.filter((key) => key !== from))
    // One in twenty is more than anybody has.
    const cents = (yield* Random.next) < 0.05 ? 1_000_000 : yield* Random.nextIntBetween(1, 50)
    const dice = yield* Random.next
    const one: Wanted = {
      id: randomUUID(),
      how: dice < 0.5 ? "ask" : dice < 0.75 ? "send" : "enqueue",
      known: "unknown"
    }
    journal.wanted.set(one.id, one)
    yield* ways[one.how](one, contract.Account.at(from).transfer({ to, cents })).pipe(
      Effect.catch((error) =>
        Effect.sync(() => {
          if (one.how !== "enqueue" && !retryable(error))
            journal.problems.push(`${one.how} ${one.id}: ${String(error)}`)
        })
      )
    )
    yield* Effect.sleep(yield* Random.nextIntBetween(50, 150))
  }).pipe(Effect.orDie, Effect.repeat({ until: () => journal.closed }), Effect.asVoid)

type Transfer = ReturnType<ReturnType<typeof contract.Account.at>["transfer"]>

const ways: {
  readonly [how in Wanted["how"]]: (one: Wanted, transfer: Transfer) => Effect.Effect<void, unknown, Client | Db>
} = {
  ask: (one, transfer) =>
    Effect.gen(function* () {
      const client = yield* Client
      one.known = yield* client.ask(transfer, { id: one.id, timeout: "2 seconds" }).pipe(
        Effect.retry({ while: retryable, schedule: again }),
        Effect.catchIf(isRefusal, () => Effect.succeed("refused" as const))
      )
    }),
  send: (one, transfer) =>
    Effect.gen(function* () {
      const client = yield* Client
      yield* client.send(transfer, { id: one.id, timeout: "2 seconds" })
      one.known = "sent"
    }),
  enqueue: (one, transfer) =>
    Effect.gen(function* () {
      const db = yield* Db
      yield* db.transaction(
        Effect.andThen(
          db.query((tx) => tx.execute(sql`insert into app.ordered values (${one.id})`)),
          Outbox.enqueue(transfer, { id: one.id })
        )
      )
      one.known = "sent"
    })
}
