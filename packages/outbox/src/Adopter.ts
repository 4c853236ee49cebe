import { type Envelope, Id } from "@troupe/contract"
import { type Nats, Publisher } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import { Commit, Lease, type Ownership, Wishes } from "@troupe/postgres/internal"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Redrive from "./Redrive.ts"
import * as Relay from "./Relay.ts"

export interface Options {
  readonly service: string
  readonly partitions: number
}

/**
 * The built-in consumer `outbox`: owns what plain transactions enqueued, and moves it into the outbox, from where it is
 * relayed like everything else. It takes whatever is visible, in the order of ids, so that a transaction that commits
 * late is never skipped.
 */
export interface Adopter {
  /** Adopts what belongs to a partition, from its take-over until it is lost. `setBack`: the database was set back. */
  run(
    taken: Ownership.Taken,
    progress: { ready: boolean; trouble: string | undefined; failures: number },
    setBack: boolean
  ): Effect.Effect<never, unknown, Sql | Nats | Scope.Scope>
  /** Something may have been enqueued: look at once. */
  wake(): void
}

/** Rows adopted at once. */
const page = 500
/** How often the table is looked at when nobody tells of anything. */
const poll = "200 millis"
/** How often it is looked whether an operator wishes something, ms. */
const lookForWishes = 1_000

interface Owned {
  fence: Commit.Fence
  pos: number
  readonly relay: Relay.Relay
  readonly progress: { failures: number }
  readonly lost: Deferred.Deferred<never, unknown>
}

/** One loop adopts for all partitions that are owned here. */
export const make = (options: Options): Effect.Effect<Adopter, never, Sql | Scope.Scope> =>
  Effect.gen(function* () {
    const owned = new Map<number, Owned>()
    const hint = Latch.makeUnsafe(false)
    const one = Semaphore.makeUnsafe(1)
    let looked = Number.NEGATIVE_INFINITY
    yield* Effect.gen(function* () {
      hint.closeUnsafe()
      if (owned.size === 0) return yield* hint.await
      if (performance.now() > looked + lookForWishes) {
        looked = performance.now()
        yield* Effect.uninterruptible(one.withPermits(1)(grant(owned)))
      }
      const adopted = yield* Effect.uninterruptible(one.withPermits(1)(adopt(options, owned)))
      if (adopted > 0 || (yield* arm)) return
      yield* Effect.timeoutOption(hint.await, poll)
    }).pipe(
      // What was committed is not known: all partitions are taken anew.
      Effect.catchCause((cause) => Effect.sync(() => [...owned.values()].forEach((one) => lose(owned, one, cause)))),
      Effect.forever,
      Effect.forkScoped
    )
    return {
      run: (taken, progress, setBack) =>
        Effect.gen(function* () {
          const { fence, pos } = taken
          const relay = yield* Relay.make({ service: options.service, fence, lane: undefined, setBack })
          const mine: Owned = { fence, pos, relay, progress, lost: Deferred.makeUnsafe() }
          yield* Effect.acquireRelease(
            Effect.sync(() => {
              owned.set(fence.p, mine)
              Object.assign(progress, { ready: true, trouble: undefined })
              hint.openUnsafe()
            }),
            () =>
              one.withPermits(1)(
                Effect.sync(() => {
                  owned.delete(fence.p)
                  Object.assign(progress, { ready: false, trouble: "taken anew" })
                })
              )
          )
          return yield* Deferred.await(mine.lost)
        }),
      wake: () => hint.openUnsafe()
    }
  })

const lose = (owned: Map<number, Owned>, one: Owned, cause: Cause.Cause<unknown>): void => {
  owned.delete(one.fence.p)
  Deferred.doneUnsafe(one.lost, Exit.failCause(cause))
}

/** Asks to be told of the next row; answers whether any was enqueued since it last asked. */
const arm: Effect.Effect<boolean, unknown, Sql> = Effect.flatMap(Sql, (sql) =>
  Effect.tryPromise(async () => {
    const rows = await sql`select setval('troupe.enqueued_hint', 1, false) from troupe.enqueued_hint where is_called`
    return rows.length > 0
  })
)

const adopt = (options: Options, owned: Map<number, Owned>): Effect.Effect<number, unknown, Sql> =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const rows = yield* Effect.tryPromise(
      () => sql`select id, hash, message_id, stream, subject, headers, body from (
          select *, sum(length(body)) over (order by id) - length(body) as before
            from (select * from troupe.enqueued where (hash % ${options.partitions})::int = any (${[...owned.keys()]}::int[])
                   order by id limit ${page}) rows) sized
         where before < ${4 * 1024 ** 2} order by id`
    )
    if (rows.length === 0) return 0
    const byPartition = Map.groupBy(rows, (row) => Number(row["hash"]) % options.partitions)
    const works = [...byPartition].map(([p, rows]): Commit.Work => {
      const { fence, pos, relay } = owned.get(p)!
      const outbox = rows.map((row, i): Commit.OutboxRow => ({
        pos: pos + 1 + i,
        stream: row["stream"],
        id: row["message_id"],
        subject: row["subject"],
        headers: JSON.stringify(headersOf(row, options.service)),
        body: row["body"]
      }))
      return {
        fence,
        pos: pos + rows.length,
        cursors: {},
        inbox: [],
        states: [],
        outbox,
        more: { watermarks: relay.watermarks(), adopted: rows.map((row) => ({ id: Number(row["id"]) })) },
        bytes: outbox.reduce((sum, row) => sum + row.body.length, 0)
      }
    })
    yield* commit(owned, works)
    return rows.length
  })

const headersOf = (row: Record<string, string>, service: string): Envelope.Headers => {
  const headers: Record<string, string> = JSON.parse(row["headers"]!)
  // Plain code does not know whose database it writes to.
  headers["ce-source"] = service
  // Its ids are the caller's: one may be used for two messages.
  headers[Publisher.messageId] = Id.published(row["message_id"]!, row["subject"]!, row["body"]!)
  return headers
}

/** Messages that could not be published, once more, or no more. */
const grant = (owned: Map<number, Owned>): Effect.Effect<void, unknown, Sql> =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const wished = yield* Effect.tryPromise(() => Wishes.wished(sql))
    for (const { fence, pos, relay } of owned.values()) {
      if (!wished.has(Commit.numbered(fence))) continue
      const wishes = yield* Effect.tryPromise(() => Wishes.open(sql, fence.consumer, fence.p))
      const redrive = () => ({ code: "TRP0604", why: "it was never for an actor or a subscriber" }) as const
      const { more, outbox, ...granted } = Redrive.grant(wishes, pos, { redrive, discard: () => {} })
      const bytes = outbox.reduce((sum, row) => sum + row.body.length, 0)
      const all = { ...more, watermarks: relay.watermarks() }
      yield* commit(owned, [{ fence, cursors: {}, inbox: [], states: [], ...granted, outbox, more: all, bytes }])
    }
  })

const commit = (owned: Map<number, Owned>, works: ReadonlyArray<Commit.Work>): Effect.Effect<void, unknown, Sql> =>
  Effect.gen(function* () {
    const sql = yield* Sql
    yield* Lease.check
    const verdictOf = yield* Effect.tryPromise(() => Commit.commit(sql, works))
    for (const { fence, more, outbox, pos } of works) {
      const one = owned.get(fence.p)!
      if (verdictOf(fence) !== "committed") {
        lose(owned, one, Cause.fail(`partition ${fence.p} has another owner`))
        continue
      }
      one.fence = { ...fence, n: fence.n + 1 }
      one.pos = pos
      one.progress.failures = 0
      one.relay.committed({ outbox, more })
    }
  })
