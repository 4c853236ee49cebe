import { readFile } from "node:fs/promises"
import { assert, it } from "@effect/vitest"
import { ask, send } from "@troupe/client"
import { connected } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as World from "./src/world.ts"

/** What a role or a database may say, and what would change values, isolation, patience or the name of a connection. */
const hostile = {
  DateStyle: "German, DMY",
  IntervalStyle: "iso_8601",
  TimeZone: "Asia/Kolkata",
  extra_float_digits: "-10",
  bytea_output: "escape",
  standard_conforming_strings: "off",
  array_nulls: "off",
  default_transaction_isolation: "serializable",
  default_transaction_read_only: "on",
  row_security: "off",
  search_path: "nowhere",
  synchronous_commit: "off",
  statement_timeout: "400",
  lock_timeout: "20",
  idle_in_transaction_session_timeout: "200",
  idle_session_timeout: "400",
  application_name: "theirs"
}

it.live(
  "under any settings of database and url turns, timers and the take-over of a host frozen in a transaction are as ever",
  () =>
    Effect.gen(function* () {
      const made = yield* World.make
      yield* Effect.promise(async () => {
        const database = new URL(made.databaseUrl).pathname.slice(1)
        for (const [name, value] of Object.entries(hostile))
          await made.sql.unsafe(`alter database ${database} set ${name} = '${value}'`)
      })
      const query =
        "application_name=theirs&idle_timeout=1&options=-c%20lock_timeout%3D10%20-c%20statement_timeout%3D300"
      const databaseUrl = `${made.databaseUrl}?${query}`
      // The test's own connections have none of it.
      const plain = "idle_session_timeout=0&statement_timeout=0&default_transaction_isolation=read%20committed"
      const world = { ...made, databaseUrl, sql: yield* connected(`${made.databaseUrl}?${plain}`) }
      const hasty = { heartbeat: "100 millis", lease: "1 second", databaseUrl } as const
      const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
      const frozen = yield* world.start({ ...hasty, crash: { point: "before commit", nth: 10, signal: "SIGSTOP" } })
      assert.notStrictEqual(frozen.url, "", frozen.output())
      assert.match(frozen.output(), /TRP0518 .*synchronous_commit is off/, "what is the operator's choice is told")
      yield* world.start(hasty)
      const record = (key: string) =>
        ask(world.contract.Counter.at(key).record({ n: 1, then: "say" }), { timeout: "50 seconds" })
      const rounds = 6
      const work = Effect.forEach(keys, (key) => Effect.forEach(Array.from({ length: rounds }), () => record(key)), {
        concurrency: "unbounded"
      })
      const working = yield* Effect.forkScoped(Effect.provide(work, world.client))
      yield* World.until(
        () => readFile(`/proc/${frozen.pid}/stat`, "utf8").then((stat) => stat.split(") ")[1]![0]),
        (state) => state === "T"
      )
      const since = performance.now()
      for (const each of yield* Fiber.join(working)) assert.deepStrictEqual(each, [1, 2, 3, 4, 5, 6])
      assert.isBelow(performance.now() - since, 20_000, "it did not wait for the frozen one's transaction: 30 s")
      const timed = world.contract.Counter.at("timed").later({ name: "soon", ms: 50, n: 5, then: "reply" })
      yield* Effect.provide(ask(timed, { timeout: "20 seconds" }), world.client)
      yield* World.until(
        () => world.sql`select body from troupe.state where key = 'timed'`,
        (rows) => rows.some((row) => row["body"] === "5")
      )
      yield* Effect.provide(send(world.contract.Counter.at("k0").add({ n: 1 })), world.client)
      yield* World.until(
        () => world.sql`select count(*)::int as n from app.log`,
        ([row]) => row!["n"] === keys.length * rounds + 2
      )
      const [recorded] = yield* Effect.promise(() => world.sql`select count(*)::int as n from app.recorded`)
      assert.strictEqual(recorded!["n"], keys.length * rounds)
    }).pipe(Effect.scoped),
  120_000
)
