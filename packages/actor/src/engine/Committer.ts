import { Sql } from "@troupe/postgres"
import { Commit, Lease, passes, sqlState } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Gather from "./Gather.ts"
import * as Measures from "./Measures.ts"

/** The work may be committed or not: connection lost, server shutting down, serialization. The partition is taken anew. */
export class CommitLost extends Schema.TaggedError<CommitLost>()("CommitLost", { cause: Schema.Defect() }) {}
/** Postgres refused the work for what it says: nothing of it is committed, and trying again would change nothing. */
export class CommitRefused extends Schema.TaggedError<CommitRefused>()("CommitRefused", { cause: Schema.Defect() }) {}

/**
 * What a failed commit says. A statement that was cancelled for its time is not refused: it may have waited for a lock.
 */
export const failed = (cause: unknown): CommitLost | CommitRefused =>
  passes(cause) || sqlState(cause) === "57014" ? new CommitLost({ cause }) : new CommitRefused({ cause })

/** Bytes that one call carries at most, but for a single work that is larger. */
const limit = 32 * 1024 ** 2

/** One per host: merges what its partitions have staged into one call. */
export class Committer extends Context.Service<
  Committer,
  {
    /** Must not be interrupted: what was handed in may be committed. */
    commit(work: Commit.Work): Effect.Effect<Commit.Verdict, CommitLost | CommitRefused>
  }
>()("@troupe/actor/Committer") {
  static readonly layer: Layer.Layer<Committer, never, Sql> = Layer.effect(
    Committer,
    Effect.gen(function* () {
      const sql = yield* Sql
      const call = (
        works: ReadonlyArray<Commit.Work>
      ): Effect.Effect<ReadonlyArray<Exit.Exit<Commit.Verdict, CommitLost | CommitRefused>>> =>
        Effect.mapError(Lease.check, (cause) => new CommitLost({ cause })).pipe(
          Effect.andThen(Measures.timed(Effect.tryPromise({ try: () => Commit.commit(sql, works), catch: failed }))),
          Effect.matchEffect({
            onSuccess: (verdictOf) => Effect.succeed(works.map(({ fence }) => Exit.succeed(verdictOf(fence)))),
            // One partition's refusal is not the others': each alone. So is one (TR001) whose rows somebody else changed.
            onFailure: (error) =>
              works.length > 1 && (error._tag === "CommitRefused" || sqlState(error.cause) === "TR001")
                ? Effect.map(
                    Effect.forEach(works, (work) => call([work])),
                    (exits) => exits.flat()
                  )
                : Effect.succeed(works.map(() => Exit.fail(error)))
          })
        )
      const calls = (works: ReadonlyArray<Commit.Work>) =>
        Effect.map(Effect.forEach(portions(works), call), (exits) => exits.flat())
      return Committer.of({ commit: yield* Gather.make(calls) })
    })
  )
}

/** The works in portions that fit one call. */
const portions = (works: ReadonlyArray<Commit.Work>): ReadonlyArray<ReadonlyArray<Commit.Work>> => {
  const out: Array<Array<Commit.Work>> = []
  let room = -1
  for (const work of works) {
    if (work.bytes > room) {
      out.push([])
      room = limit
    }
    out.at(-1)!.push(work)
    room -= work.bytes
  }
  return out
}
