import { assert, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import { Host } from "@troupe/service"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as World from "./src/world.ts"

it.live(
  "a rejected promise that a handler leaves behind is logged, and ends nobody",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const host = yield* world.start()
      const counter = world.contract.Counter.at("k")
      yield* Effect.gen(function* () {
        yield* ask(counter.float())
        assert.strictEqual(yield* ask(counter.add({ n: 2 })), 2)
      }).pipe(Effect.provide(world.client))
      yield* World.until(
        async () => host.output(),
        (output) => output.includes("floated")
      )
      assert.match(host.output(), /ERROR.*nobody waits for it/)
      host.kill("SIGTERM")
      assert.deepStrictEqual(yield* host.ended, { code: 0, signal: null })
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "a host that has ended listens to no rejections",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const before = process.listenerCount("unhandledRejection")
      const host = Host.layer(world.service, {
        natsUrl: Redacted.make(world.natsUrl),
        databaseUrl: Redacted.make(world.databaseUrl),
        http: { host: "127.0.0.1", port: 0 }
      })
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Layer.build(host)
          assert.strictEqual(process.listenerCount("unhandledRejection"), before + 1)
        })
      )
      assert.strictEqual(process.listenerCount("unhandledRejection"), before)
    }).pipe(Effect.scoped),
  60_000
)
