import { assert, it } from "@effect/vitest"
import { ask } from "@troupe/client"
import * as Effect from "effect/Effect"
import * as World from "./src/world.ts"

it.live(
  "a host whose clock is an hour off says so, in health, log and metrics, and one whose clock is right does not",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      for (const [aheadMs, says] of [
        [3_600_000, /TRP0517 .* · this host · it is 3(599|600)\.\d s ahead of that of/],
        [-3_600_000, /TRP0517 .* · this host · it is 3(599|600)\.\d s behind that of/],
        [0, undefined]
      ] as const) {
        const host = yield* world.start({ aheadMs })
        yield* Effect.provide(ask(world.contract.Counter.at("a").add({ n: 1 })), world.client)
        const metrics = yield* World.until(
          async () => await (await fetch(`${host.url}/metrics`)).text(),
          (text) =>
            ["postgres", "nats"].every((server) => text.includes(`troupe_clock_offset_seconds{server="${server}"}`))
        )
        const [, offset] = /^troupe_clock_offset_seconds\{server="postgres"\} (\S+)$/m.exec(metrics) ?? []
        assert.approximately(Number(offset), -aheadMs / 1_000, 5)
        const response = yield* Effect.promise(() => fetch(`${host.url}/readyz`))
        const { trouble } = (yield* Effect.promise(() => response.json())) as { trouble: ReadonlyArray<string> }
        assert.strictEqual(response.status, 200, "it works all the same")
        const told = trouble.filter((line) => line.startsWith("TRP0517"))
        if (says === undefined) {
          assert.deepStrictEqual(told, [])
          assert.notInclude(host.output(), "TRP0517")
        } else {
          assert.deepStrictEqual(
            told.map((line) => says.test(line)),
            [true, true]
          )
          assert.match(host.output(), says)
        }
        host.kill("SIGTERM")
        yield* host.ended
      }
    }).pipe(Effect.scoped)
)
