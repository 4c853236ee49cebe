import { randomUUID } from "node:crypto"
import { Client, ClientError } from "@troupe/client"
import type { Message } from "@troupe/contract"
import { Outbox } from "@troupe/outbox"
import { Db } from "@troupe/postgres"
import { sql } from "drizzle-orm"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { contract, holdOf, NotEnough, NotHeld, type Receipt, TooLate } from "./bank.ts"
import { poisonable } from "./schedule.ts"

/** What an account begins with. */
export const opening = 1_000
export const accounts = Array.from({ length: 48 }, (_, i) => `account ${i} é`)

/** A command that was wanted, and what the client knows of it. */
export interface Wanted {
  readonly id: string
  /**
   * A transfer that is asked for until it is answered, sent once, or enqueued in a transaction that also writes
   * `app.ordered`; a transfer to a hold, asked for; or the settlement of a hold, asked for.
   */
  readonly how: "ask" | "send" | "enqueue" | "reserve" | "settle"
  /** Id of the transfer: of a settlement the one whose money is held, else `id`. */
  readonly transfer: string
  /** Accounts. A hold's money goes to `to` when it is settled, else back to `from`. */
  readonly from: string
  readonly to: string
  readonly cents: number
  /** Time when the client began, in ms since 1970; of its end, once it has ended. */
  readonly begun: number
  ended?: number
  /** `sent`: the stream has it, or the transaction was committed. `unknown`: nobody said. */
  known: "unknown" | "sent" | "refused" | Receipt
  /** Of an ask that was answered: the whole answer, for the comparison with a later one. */
  answer?: string
}

/** What happened at the clients of a run. */
export interface Journal {
  readonly wanted: Map<string, Wanted>
  /** Errors that no client should ever see. */
  readonly problems: Array<string>
  /** How often a sender was told that the stream of commands is full. */
  full: number
  /** No new transfers are begun. */
  closed: boolean
}

export const journal = (): Journal => ({ wanted: new Map(), problems: [], full: 0, closed: false })

const again = Schedule.spaced("100 millis")
export const retryable = (error: unknown): boolean => error instanceof ClientError && error.retryable

/** What makes an answer of an error that is final: it is not applied, now or later. Undefined for any other error. */
export const refusal = (error: unknown): string | undefined => {
  if (error instanceof NotEnough) return `NotEnough ${error.balance}`
  if (error instanceof TooLate) return "TooLate"
  return error instanceof ClientError && error.reason._tag === "Rejected" && error.reason.code === "TRP0212"
    ? "TRP0212"
    : undefined
}
export const accepted = ({ balance, nth }: Receipt): string => `change ${nth}, balance ${balance}`

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

const worker = (journal: Journal): Effect.Effect<void, never, Client | Db> => {
  const settling: Array<Fiber.Fiber<void>> = []
  return Effect.gen(function* () {
    const from = yield* Random.choice(accounts)
    const to = yield* Random.choice((yield* Random.next) < 0.1 ? poisonable : accounts.filter((key) => key !== from))
    // One in twenty is more than anybody has.
    const cents = (yield* Random.next) < 0.05 ? 1_000_000 : yield* Random.nextIntBetween(1, 50)
    const dice = yield* Random.next
    const how = dice < 0.4 ? "ask" : dice < 0.5 ? "reserve" : dice < 0.75 ? "send" : "enqueue"
    const one = want(journal, { how, from, to, cents })
    yield* run(journal, one)
    // One hold in three is left to its timer.
    const settles = (yield* Random.next) < 0.67
    const patience = yield* Random.nextIntBetween(50, 2_000)
    if (how === "reserve" && typeof one.known !== "string" && settles)
      settling.push(yield* Effect.forkChild(Effect.delay(settle(journal, one), patience)))
    yield* Effect.sleep(yield* Random.nextIntBetween(50, 150))
  }).pipe(
    Effect.orDie,
    Effect.repeat({ until: () => journal.closed }),
    Effect.andThen(Effect.suspend(() => Fiber.awaitAll(settling))),
    Effect.asVoid
  )
}

/** Sends transfers as fast as the stream takes them, 64 at a time. */
export const surge = (journal: Journal, count: number): Effect.Effect<void, never, Client | Db> =>
  Effect.forEach(
    Array.from({ length: count }, (_, i) => i),
    (i) => {
      const [from, to] = [accounts[i % accounts.length]!, accounts[(i + 1) % accounts.length]!]
      return run(journal, want(journal, { how: "send", from, to, cents: 1 }))
    },
    { concurrency: 64, discard: true }
  )

const want = (
  journal: Journal,
  one: Pick<Wanted, "how" | "from" | "to" | "cents"> & { readonly transfer?: string }
): Wanted => {
  const id = randomUUID()
  const wanted: Wanted = { id, transfer: id, ...one, begun: Date.now(), known: "unknown" }
  journal.wanted.set(id, wanted)
  return wanted
}

/** Settles a hold: again under another id as long as the money has not come to it. */
const settle = (journal: Journal, { cents, from, to, transfer }: Wanted): Effect.Effect<void, never, Client | Db> =>
  Effect.suspend(() => run(journal, want(journal, { how: "settle", from, to, cents, transfer }))).pipe(
    Effect.repeat({ while: (isHeld) => !isHeld, schedule: Schedule.spaced("200 millis") }),
    Effect.asVoid
  )

/** Does what is wanted. False when a settlement came before the money. */
const run = (journal: Journal, one: Wanted): Effect.Effect<boolean, never, Client | Db> =>
  Effect.suspend(() => ways[one.how](one, journal)).pipe(
    Effect.as(true),
    Effect.catch((error) =>
      Effect.sync(() => {
        if (error instanceof NotHeld) {
          one.known = "refused"
          one.answer = "NotHeld"
          return false
        }
        if (one.how !== "enqueue" && !retryable(error)) journal.problems.push(`${one.how} ${one.id}: ${String(error)}`)
        return true
      })
    ),
    Effect.ensuring(Effect.sync(() => (one.ended = Date.now())))
  )

const noteFull = (journal: Journal) => (error: unknown) =>
  Effect.sync(() => {
    if (error instanceof ClientError && error.reason._tag === "StreamFull") journal.full++
  })

/** The command that was wanted. */
const commandOf = ({
  cents,
  from,
  how,
  to,
  transfer
}: Wanted): Message<string, Receipt, NotEnough | NotHeld | TooLate> => {
  if (how === "settle") return contract.Account.at(holdOf(transfer)).settle({ transfer, to })
  if (how === "reserve") return contract.Account.at(from).reserve({ cents })
  return contract.Account.at(from).transfer({ to, cents })
}

const ask = (one: Wanted, journal: Journal): Effect.Effect<void, unknown, Client> =>
  Effect.gen(function* () {
    const client = yield* Client
    const receipt = yield* client
      .ask(commandOf(one), { id: one.id, timeout: "2 seconds" })
      .pipe(Effect.tapError(noteFull(journal)), Effect.retry({ while: retryable, schedule: again }))
    one.known = receipt
    one.answer = accepted(receipt)
  }).pipe(
    Effect.catchIf(
      (error) => refusal(error) !== undefined,
      (error) =>
        Effect.sync(() => {
          one.known = "refused"
          one.answer = refusal(error)!
        })
    )
  )

const ways: {
  readonly [how in Wanted["how"]]: (one: Wanted, journal: Journal) => Effect.Effect<void, unknown, Client | Db>
} = {
  ask,
  reserve: ask,
  settle: ask,
  send: (one, journal) =>
    Effect.gen(function* () {
      const client = yield* Client
      yield* client.send(commandOf(one), { id: one.id, timeout: "2 seconds" }).pipe(Effect.tapError(noteFull(journal)))
      one.known = "sent"
    }),
  enqueue: (one) =>
    Effect.gen(function* () {
      const db = yield* Db
      yield* db.transaction(
        Effect.andThen(
          db.query((tx) => tx.execute(sql`insert into app.ordered values (${one.id})`)),
          Outbox.enqueue(commandOf(one), { id: one.id })
        )
      )
      one.known = "sent"
    })
}

/**
 * Asks again under their ids what was answered before: what is answered now that is another answer, for a person. The
 * inbox is kept for 7 days, so every answer is still there, or was made again when the log was read again.
 */
export const askAgain = (all: ReadonlyArray<Wanted>): Effect.Effect<ReadonlyArray<string>, never, Client> =>
  Effect.gen(function* () {
    const client = yield* Client
    const changed: Array<string> = []
    yield* Effect.forEach(
      all,
      (one) =>
        client.ask(commandOf(one), { id: one.id, timeout: "10 seconds" }).pipe(
          Effect.retry({ while: retryable, times: 3 }),
          Effect.map(accepted),
          Effect.catch((error) =>
            Effect.succeed(error instanceof NotHeld ? "NotHeld" : (refusal(error) ?? String(error)))
          ),
          Effect.tap((answer) =>
            Effect.sync(() => {
              if (answer !== one.answer) changed.push(`${one.how} ${one.id}: ${one.answer}, and now ${answer}`)
            })
          )
        ),
      { concurrency: 32, discard: true }
    )
    return changed
  })
