import { assert, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import postgres from "postgres"
import { Session } from "@troupe/postgres/internal"
import * as Pgbouncer from "./src/pgbouncer.ts"
import * as World from "./src/world.ts"

const add = (world: World.World, key: string) =>
  Effect.provide(ask(world.contract.Counter.at(key).add({ n: 1 }), { timeout: "30 seconds" }), world.client)

const ended = (host: World.HostProcess) => host.ended.pipe(Effect.timeout("60 seconds"), Effect.orDie)

/** The parameters that older versions sent, which a pooler had to be told to drop. */
const dropped = ["statement_timeout", "idle_in_transaction_session_timeout"]

for (const mode of ["transaction", "statement"] as const)
  it.live(`a host behind a pooler in ${mode} mode is refused at its start`, () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const pooler = yield* Pgbouncer.start(world.databaseUrl, mode, dropped)
      // The pooler works: statements get through.
      const sql = postgres(pooler.url, { max: 1, prepare: false, fetch_types: false })
      assert.deepStrictEqual([...(yield* Effect.promise(() => sql`select 1 as one`))], [{ one: 1 }])
      yield* Effect.promise(() => sql.end())
      const host = yield* world.start({ databaseUrl: pooler.url })
      assert.strictEqual(host.url, "", "it never got ready")
      assert.deepStrictEqual(yield* ended(host), { code: 1, signal: null })
      assert.include(host.output(), "TRP0513")
    }).pipe(Effect.scoped)
  )

it.live("a host behind a pooler in session mode works, also one that drops start-up parameters", () =>
  Effect.gen(function* () {
    const world = yield* World.make
    for (const [i, ignored] of [[], dropped].entries()) {
      const pooler = yield* Pgbouncer.start(world.databaseUrl, "session", ignored)
      const host = yield* world.start({ databaseUrl: pooler.url })
      assert.notStrictEqual(host.url, "", host.output())
      assert.strictEqual(yield* add(world, "a"), i + 1)
      host.kill("SIGTERM")
      assert.deepStrictEqual(yield* ended(host), { code: 0, signal: null })
    }
  }).pipe(Effect.scoped)
)

it.live("a session that is one's own is found so, however busy the server is", () =>
  Effect.gen(function* () {
    const world = yield* World.make
    const url = Redacted.make(world.databaseUrl)
    yield* Effect.forEach(Array.from({ length: 10 }), () => Session.check({ url, applicationName: "troupe:x" }), {
      concurrency: "unbounded"
    })
  }).pipe(Effect.scoped)
)
