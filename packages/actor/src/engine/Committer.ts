import { Sql } from "@troupe/postgres"
import { Commit, sqlState } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"

/** The work may be committed or not: connection lost, server shutting down, serialization. The partition is taken anew. */
export class CommitLost extends Schema.TaggedError<CommitLost>()("CommitLost", { cause: Schema.Defect() }) {}
/** Postgres refused the work for what it says: nothing of it is committed, and trying again would change nothing. */
export class CommitRefused extends Schema.TaggedError<CommitRefused>()("CommitRefused", { cause: Schema.Defect() }) {}

/**
 * Connection trouble, rolled back by the server, out of resources, shutting down, lock timeout, somebody else's write:
 * never the message's fault.
 */
export const passes = (cause: unknown): boolean => {
  const code = sqlState(cause)
  return code === undefined || !/^[0-9A-Z]{5}$/.test(code) || /^(08|25P03|40|53|55P03|57|58|XX|TR001)/.test(code)
}
export const failed = (cause: unknown): CommitLost | CommitRefused =>
  passes(cause) ? new CommitLost({ cause }) : new CommitRefused({ cause })

interface Waiting {
  readonly work: Commit.Work
  readonly done: Deferred.Deferred<boolean, CommitLost | CommitRefused>
}

/** One per host: merges what its partitions have staged into one call. While one call runs, the next one gathers. */
export class Committer extends Context.Service<
  Committer,
  {
    /** Answers whether the work passed the fence. Must not be interrupted: what was handed in may be committed. */
    commit(work: Commit.Work): Effect.Effect<boolean, CommitLost | CommitRefused>
  }
>()("@troupe/actor/Committer") {
  static readonly layer: Layer.Layer<Committer, never, Sql> = Layer.effect(
    Committer,
    Effect.gen(function* () {
      const sql = yield* Sql
      // Each partition has one batch between load and commit, so the partitions bound this queue.
      const queue = yield* Queue.unbounded<Waiting>()
      const call = (waiting: ReadonlyArray<Waiting>): Effect.Effect<void> =>
        Effect.tryPromise({
          try: () => Commit.commit(sql, waiting.map(({ work }) => work)),
          catch: failed
        }).pipe(
          Effect.matchEffect({
            onSuccess: (passed) =>
              Effect.forEach(
                waiting,
                ({ done, work }) => Deferred.succeed(done, passed.has(Commit.numbered(work.fence))),
                { discard: true }
              ),
            // One partition's refusal is not the others': each alone.
            onFailure: (error) =>
              error._tag === "CommitRefused" && waiting.length > 1
                ? Effect.forEach(waiting, (one) => call([one]), { discard: true })
                : Effect.forEach(waiting, ({ done }) => Deferred.fail(done, error), { discard: true })
          })
        )
      yield* Queue.takeAll(queue).pipe(Effect.flatMap(call), Effect.forever, Effect.forkScoped)
      return Committer.of({
        commit: (work) =>
          Effect.gen(function* () {
            const done = yield* Deferred.make<boolean, CommitLost | CommitRefused>()
            Queue.offerUnsafe(queue, { work, done })
            return yield* Deferred.await(done)
          })
      })
    })
  )
}
