import { assert, it } from "@effect/vitest"
import { Sql } from "@troupe/postgres"
import { type Commit, Lease } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CommitLost, Committer } from "../../src/engine/Committer.ts"

const work: Commit.Work = {
  fence: { consumer: 1, p: 0, token: crypto.randomUUID(), n: 0 },
  pos: 0,
  cursors: {},
  inbox: [],
  states: [],
  outbox: [],
  more: {},
  bytes: 0
}

it.live("without its lease a host commits nothing: nobody is asked, and the partition is lost", () =>
  Effect.gen(function* () {
    let held = true
    let asked = 0
    const sql = {
      unsafe: async () => {
        asked++
        return [{ ok: [4096] }]
      }
    }
    const committer = Committer.layer.pipe(
      Layer.provide(Layer.succeed(Sql, sql as never)),
      Layer.provide(Layer.succeed(Lease.Lease, { held: () => held }))
    )
    yield* Effect.gen(function* () {
      const { commit } = yield* Committer
      assert.strictEqual(yield* commit(work), "committed")
      held = false
      const error = yield* Effect.flip(commit(work))
      assert.instanceOf(error, CommitLost)
      assert.instanceOf(error.cause, Lease.LeaseLost)
      assert.strictEqual(asked, 1)
    }).pipe(Effect.provide(committer))
  })
)

it.live("a partition whose state somebody else changed is lost alone, not with those of the same call", () =>
  Effect.gen(function* () {
    const calls: Array<ReadonlyArray<number>> = []
    const sql = {
      unsafe: async (_: string, [partitions]: [ReadonlyArray<number>]) => {
        calls.push(partitions)
        if (partitions.includes(4097)) throw Object.assign(new Error("a state was changed"), { code: "TR001" })
        return [{ ok: partitions }]
      }
    }
    const committer = Committer.layer.pipe(
      Layer.provide(Layer.succeed(Sql, sql as never)),
      Layer.provide(Layer.succeed(Lease.Lease, { held: () => true }))
    )
    yield* Effect.gen(function* () {
      const { commit } = yield* Committer
      const exits = yield* Effect.forEach(
        [0, 1, 2],
        (p) => Effect.exit(commit({ ...work, fence: { ...work.fence, p } })),
        { concurrency: "unbounded" }
      )
      assert.isTrue(
        calls.some((partitions) => partitions.length > 1),
        "some were in one call"
      )
      assert.deepStrictEqual(
        exits.map(({ _tag }) => _tag),
        ["Success", "Failure", "Success"]
      )
    }).pipe(Effect.provide(committer))
  })
)
