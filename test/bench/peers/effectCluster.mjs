// An entity whose messages are persisted, and whose handler writes its row in the transaction of the reply.
import { NodeCrypto } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted, Schema } from "effect"
import { ClusterSchema, Entity, SingleRunner } from "effect/cluster"
import * as Rpc from "effect/rpc/Rpc"
import { SqlClient } from "effect/sql"
import { serve } from "./front.mjs"

const increment = Rpc.make("Increment", { payload: { n: Schema.Number }, success: Schema.Number })
  .annotate(ClusterSchema.Persisted, true)
  .annotate(ClusterSchema.WithTransaction, true)
const Counter = Entity.make("Counter", [increment])

const live = Counter.toLayer(
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const { entityId } = yield* Entity.CurrentAddress
    return {
      Increment: ({ payload }) =>
        sql`insert into counter as c (key, n) values (${entityId}, ${payload.n})
          on conflict (key) do update set n = c.n + excluded.n returning n`.pipe(
          Effect.map(([row]) => Number(row.n)),
          Effect.orDie
        )
    }
  })
)
const { databaseUrl } = JSON.parse(process.argv[2])
const database = PgClient.layer({ url: Redacted.make(databaseUrl) })
const runner = SingleRunner.layer({ runnerStorage: "sql" }).pipe(Layer.provide(NodeCrypto.layerDigest))

const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`create table if not exists counter (key text primary key, n bigint not null)`
  const client = yield* Counter.client
  const run = Effect.runPromiseWith(yield* Effect.context())
  serve((key, n) => run(client(key).Increment({ n })))
  return yield* Effect.never
})
Effect.runPromise(
  program.pipe(Effect.provide(live.pipe(Layer.provideMerge(runner), Layer.provideMerge(database))), Effect.scoped)
)
