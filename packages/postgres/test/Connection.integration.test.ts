import { assert, it } from "@effect/vitest"
import { Connection, passes } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

it.live("a connection that answers nothing is given up as lost, and the next statement has another", () =>
  Effect.gen(function* () {
    const url = Redacted.make(process.env["DATABASE_URL"]!)
    const connection = yield* Connection.make({ url, patience: 500 })
    const backend = () =>
      connection.ask((sql) => sql<[{ pid: number }]>`select pg_backend_pid() as pid`).then(([{ pid }]) => pid)
    yield* Effect.promise(async () => {
      const frozen = await backend()
      process.kill(frozen, "SIGSTOP")
      try {
        const error: unknown = await backend().then(
          () => undefined,
          (error: unknown) => error
        )
        assert.isTrue(passes(error), String(error))
        assert.strictEqual(connection.losses(), 1)
        assert.notStrictEqual(await backend(), frozen)
        assert.strictEqual(connection.losses(), 1, "the old one's end is no further loss")
      } finally {
        process.kill(frozen, "SIGCONT")
      }
    })
  }).pipe(Effect.scoped)
)

it.live("an answer that came while this process had no time is heard, and the connection stays", () =>
  Effect.gen(function* () {
    const url = Redacted.make(process.env["DATABASE_URL"]!)
    const connection = yield* Connection.make({ url, patience: 300 })
    yield* Effect.promise(async () => {
      await connection.ask((sql) => sql`select 1`)
      const answer = connection.ask((sql) => sql`select 2 as n, pg_sleep(0.1)`)
      // Until it is sent.
      await new Promise((resolve) => setTimeout(resolve, 20))
      const until = performance.now() + 1_000
      while (performance.now() < until);
      assert.strictEqual((await answer)[0]!["n"], 2)
      assert.strictEqual(connection.losses(), 0)
    })
  }).pipe(Effect.scoped)
)
