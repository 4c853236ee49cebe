import { assert, it } from "@effect/vitest"
import { ask, send } from "@troupe/client"
import { Postgres } from "@troupe/embedded"
import * as Effect from "effect/Effect"
import * as World from "./src/world.ts"

const statusOf = (host: World.HostProcess, path: string) =>
  fetch(`${host.url}/${path}`).then((response) => response.status)

it.live(
  "while PostgreSQL refuses connections a host with work is alive and not ready, and goes on by itself afterwards",
  () =>
    Effect.gen(function* () {
      const postgres = yield* Postgres.start()
      const world = yield* World.on({ natsUrl: process.env["NATS_URL"]!, adminUrl: postgres.url })
      const host = yield* world.start()
      const counter = world.contract.Counter.at("a")
      assert.strictEqual(yield* Effect.provide(ask(counter.add({ n: 1 })), world.client), 1)
      yield* postgres.kill("SIGKILL")
      yield* Effect.provide(send(counter.add({ n: 1 })), world.client)
      yield* World.until(
        () => statusOf(host, "readyz"),
        (status) => status === 503
      )
      // Longer than a cursor may stand still while messages wait: 30 s.
      const until = performance.now() + 45_000
      const lives: Array<number> = []
      yield* Effect.promise(() => statusOf(host, "livez")).pipe(
        Effect.tap((status) => Effect.sync(() => lives.push(status))),
        Effect.delay("500 millis"),
        Effect.repeat({ until: () => performance.now() > until })
      )
      assert.deepStrictEqual([...new Set(lives)], [200])
      yield* postgres.restart
      yield* World.until(
        () => statusOf(host, "readyz"),
        (status) => status === 200
      )
      assert.strictEqual(yield* Effect.provide(ask(counter.add({ n: 1 })), world.client), 3)
    }).pipe(Effect.scoped),
  180_000
)
