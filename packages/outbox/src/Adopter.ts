import type { Nats } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import { Commit, Ownership } from "@troupe/postgres/internal"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Relay from "./Relay.ts"

export interface Options {
  readonly service: string
  /** The number of the consumer `<service>.outbox`. */
  readonly consumer: number
  readonly partitions: number
  readonly host: string
}

/** Rows adopted at once. */
const page = 500
/** How often the table is looked at. */
const poll = "100 millis"

interface Owned {
  fence: Commit.Fence
  pos: number
  readonly relay: Relay.Relay
}

/**
 * The built-in consumer `outbox`: owns what plain transactions enqueued, and moves it into the outbox, from where it is
 * relayed like everything else. It takes whatever is visible, in the order of ids, so that a transaction that commits
 * late is never skipped. Started again, with backoff, when a partition is lost.
 */
export const run = (options: Options): Effect.Effect<never, never, Sql | Nats> =>
  Effect.gen(function* () {
    let failures = 0
    while (true) {
      const cause = yield* Effect.catchCause(Effect.scoped(session(options, () => (failures = 0))), (cause) =>
        Effect.succeed(cause)
      )
      failures++
      if (failures === 3) yield* Effect.logWarning("cannot adopt what is enqueued, and tries on", Cause.squash(cause))
      yield* Effect.sleep(Math.min(5_000, 50 * 2 ** failures))
    }
  }).pipe(Effect.annotateLogs({ consumer: `${options.service}.outbox` }))

const session = (options: Options, onProgress: () => void): Effect.Effect<never, unknown, Sql | Nats | Scope.Scope> =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const all = Array.from({ length: options.partitions }, (_, p) => p)
    const taken = yield* Effect.tryPromise(() => Ownership.take(sql, options.consumer, all, options.host))
    const owned = yield* Effect.forEach(taken, ({ fence, pos }) =>
      Effect.map(Relay.make({ service: options.service, fence, pos, lane: undefined }), (relay): Owned => ({
        fence,
        pos,
        relay
      }))
    )
    while (true) {
      const adopted = yield* Effect.uninterruptible(adopt(options, owned))
      onProgress()
      if (adopted === 0) yield* Effect.sleep(poll)
    }
  })

const adopt = (options: Options, owned: ReadonlyArray<Owned>): Effect.Effect<number, unknown, Sql> =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const rows = yield* Effect.tryPromise(
      () => sql`select id, hash, message_id, stream, subject, headers, body from (
          select *, sum(length(body)) over (order by id) - length(body) as before
            from (select * from troupe.enqueued order by id limit ${page}) rows) sized
         where before < ${4 * 1024 ** 2} order by id`
    )
    if (rows.length === 0) return 0
    const byPartition = Map.groupBy(rows, (row) => Number(row["hash"]) % options.partitions)
    const works = [...byPartition].map(([p, rows]): Commit.Work => {
      const { fence, pos, relay } = owned[p]!
      const outbox = rows.map((row, i): Commit.OutboxRow => ({
        pos: pos + 1 + i,
        stream: row["stream"],
        id: row["message_id"],
        subject: row["subject"],
        // Plain code does not know whose database it writes to.
        headers: JSON.stringify({ ...JSON.parse(row["headers"]), "ce-source": options.service }),
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
    const verdictOf = yield* Effect.tryPromise(() => Commit.commit(sql, works))
    for (const { fence, more, outbox, pos } of works) {
      if (verdictOf(fence) !== "committed") return yield* Effect.fail(`partition ${fence.p} has another owner`)
      const one = owned[fence.p]!
      one.fence = { ...fence, n: fence.n + 1 }
      one.pos = pos
      one.relay.committed({ outbox, more })
    }
    return rows.length
  })
