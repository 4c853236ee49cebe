import { assert, it } from "@effect/vitest"
import { ask, send } from "@troupe/client"
import * as Effect from "effect/Effect"
import * as World from "./src/world.ts"

const hour = 3_600_000

it.live(
  "a timer is set, replaced and cancelled with its turn, by Postgres' clock",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const host = yield* world.start()
      const counter = world.contract.Counter.at("k 1")
      const later = (name: string, ms: number | null, n: number, then: "reply" | "write" | "refuse" = "reply") =>
        counter.later({ name, ms, n, then })
      const clock = Effect.promise(async () => {
        const [row] = await world.sql`select extract(epoch from clock_timestamp())::float8 * 1000 as ms`
        return row!["ms"] as number
      })
      /** The timers, each with whether the turn of `id` wrote it. */
      const timers = (id: string) =>
        Effect.promise(
          () => world.sql`select t.key, t.name, t.id, t.stream, t.subject, t.headers, t.body, i.xmin = t.xmin as same,
              extract(epoch from t.due)::float8 * 1000 as due
            from troupe.timer t join troupe.inbox i on i.consumer = t.consumer and i.p = t.p
            where i.id = ${id} order by t.name`
        )
      yield* Effect.gen(function* () {
        const ids = Array.from({ length: 6 }, () => crypto.randomUUID())
        const before = yield* clock
        yield* ask(later("a", hour, 1), { id: ids[0]! })
        const after = yield* clock
        const [first] = yield* timers(ids[0]!)
        assert.deepInclude(first, {
          key: "k%201",
          name: "a",
          stream: `CMD_${world.name}`,
          subject: `cmd.${world.name}.Counter.add.k%201`,
          body: '{"n":1}',
          same: true
        })
        assert.deepInclude(JSON.parse(first!["headers"]), {
          "ce-id": first!["id"],
          "ce-type": `${world.name}.Counter.add`,
          "ce-subject": "k%201",
          "Troupe-Causation-Id": ids[0]
        })
        assert.isAtLeast(first!["due"], before + hour - 1)
        assert.isAtMost(first!["due"], after + hour + 1)

        yield* ask(later("a", 2 * hour, 2, "write"), { id: ids[1]! })
        yield* ask(later("b", hour, 3, "reply"), { id: ids[2]! })
        const [second, other] = yield* timers(ids[1]!)
        assert.deepInclude(
          second,
          { name: "a", body: '{"n":2}', same: true },
          "also in a transaction of a handler's Db"
        )
        assert.deepInclude(other, { name: "b", same: false })
        assert.notStrictEqual(second!["id"], first!["id"])
        assert.isAtLeast(second!["due"], after + 2 * hour - 1)

        yield* Effect.flip(ask(later("a", null, 4, "refuse"), { id: ids[3]! }))
        yield* Effect.flip(ask(later("c", hour, 4, "refuse")))
        assert.deepStrictEqual(
          (yield* timers(ids[3]!)).map((row) => row["id"]),
          [second!["id"], other!["id"]],
          "a refused command changes none"
        )
        yield* ask(later("a", null, 5, "write"), { id: ids[4]! })
        assert.deepStrictEqual(
          (yield* timers(ids[4]!)).map((row) => row["name"]),
          ["b"]
        )

        // At hand together, they are one commit: what it writes is what is left in the end.
        host.kill("SIGTERM")
        yield* host.ended
        const steps = [later("b", null, 6), later("x", hour, 7), later("x", null, 8), later("b", hour, 9)]
        for (const step of [...steps, later("y", hour, 10), later("y", 2 * hour, 11)]) yield* send(step)
        yield* send(counter.add({ n: 1 }), { id: ids[5]! })
        yield* world.start()
        const left = yield* World.until(
          () => Effect.runPromise(timers(ids[5]!)),
          (rows) => rows.length > 0
        )
        assert.deepStrictEqual(
          left.map((row) => [row["name"], row["body"]]),
          [
            ["b", '{"n":9}'],
            ["y", '{"n":11}']
          ]
        )
      }).pipe(Effect.provide(world.client))
    }).pipe(Effect.scoped),
  60_000
)
