import { Codes, Reason } from "@troupe/contract"
import { Sql } from "@troupe/postgres"
import { Commit, Lease, passes, sqlState } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Away } from "./Brake.ts"
import * as Gather from "./Gather.ts"
import * as Measures from "./Measures.ts"

/** The work may be committed or not: connection lost, server shutting down, serialization. The partition is taken anew. */
export class CommitLost extends Schema.TaggedError<CommitLost>()("CommitLost", {
  cause: Schema.Defect(),
  /** The message whose handler had the transaction when its connection was lost. */
  during: Schema.optionalKey(Schema.Struct({ id: Schema.String, what: Schema.String }))
}) {}
/** Postgres refused the work for what it says: nothing of it is committed, and trying again would change nothing. */
export class CommitRefused extends Schema.TaggedError<CommitRefused>()("CommitRefused", { cause: Schema.Defect() }) {}

/** PostgreSQL does not run a statement of our own, whatever message it is for: the partition waits until that is mended. */
export class Barred extends Away {}

/**
 * SQLSTATEs of `Barred`. Our statements are the same for every message, so none of them says something of one: a right, a
 * table, a column or a function that is gone, damaged files, a full disk. Not a standby (25006): a new connection helps.
 */
const barring = /^(42|3F|53100|58|XX00[12])/

/**
 * What a failed statement of our own says. One that was cancelled for its time is not refused: it may have waited for a lock.
 */
export const failed = (cause: unknown): CommitLost | CommitRefused | Barred => {
  const code = sqlState(cause) ?? ""
  if (code.length === 5 && barring.test(code))
    return new Barred(Codes.text("TRP0523", "PostgreSQL", `${Reason.chain(cause)} (SQLSTATE ${code})`))
  return passes(cause) || code === "57014" ? new CommitLost({ cause }) : new CommitRefused({ cause })
}

/** The same of a statement that holds nothing of any message. */
export const unread = (cause: unknown): CommitLost | Barred => {
  const error = failed(cause)
  return error instanceof CommitRefused ? new CommitLost({ cause }) : error
}

/** Bytes that one call carries at most, but for a single work that is larger. */
const limit = 32 * 1024 ** 2

/** One per host: merges what its partitions have staged into one call. */
export class Committer extends Context.Service<
  Committer,
  {
    /** Must not be interrupted: what was handed in may be committed. */
    commit(work: Commit.Work): Effect.Effect<Commit.Verdict, CommitLost | CommitRefused | Barred>
  }
>()("@troupe/actor/Committer") {
  static readonly layer: Layer.Layer<Committer, never, Sql> = Layer.effect(
    Committer,
    Effect.gen(function* () {
      const sql = yield* Sql
      const call = (
        works: ReadonlyArray<Commit.Work>
      ): Effect.Effect<ReadonlyArray<Exit.Exit<Commit.Verdict, CommitLost | CommitRefused | Barred>>> =>
        Effect.mapError(Lease.check, (cause) => new CommitLost({ cause })).pipe(
          Effect.andThen(Measures.timed(Effect.tryPromise({ try: () => Commit.commit(sql, works), catch: failed }))),
          Effect.matchEffect({
            onSuccess: (verdictOf) => Effect.succeed(works.map(({ fence }) => Exit.succeed(verdictOf(fence)))),
            // One partition's refusal is not the others', nor is damage to its rows: each alone. So is one (TR001) whose rows
            // somebody else changed.
            onFailure: (error) =>
              works.length > 1 && (!(error instanceof CommitLost) || sqlState(error.cause) === "TR001")
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
