import { Sql } from "@troupe/postgres"
import { Commit, sqlState } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Gather from "./Gather.ts"

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

/** One per host: merges what its partitions have staged into one call. */
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
      const call = (
        works: ReadonlyArray<Commit.Work>
      ): Effect.Effect<ReadonlyArray<Exit.Exit<boolean, CommitLost | CommitRefused>>> =>
        Effect.tryPromise({ try: () => Commit.commit(sql, works), catch: failed }).pipe(
          Effect.matchEffect({
            onSuccess: (passed) =>
              Effect.succeed(works.map(({ fence }) => Exit.succeed(passed.has(Commit.numbered(fence))))),
            // One partition's refusal is not the others': each alone.
            onFailure: (error) =>
              error._tag === "CommitRefused" && works.length > 1
                ? Effect.map(
                    Effect.forEach(works, (work) => call([work])),
                    (exits) => exits.flat()
                  )
                : Effect.succeed(works.map(() => Exit.fail(error)))
          })
        )
      return Committer.of({ commit: yield* Gather.make(call) })
    })
  )
}
