import { assert, describe, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { connected, started, trespassed } from "../src/hosts.ts"
import { check, names } from "../src/runtimes.ts"
import * as World from "../src/World.ts"

class Servers extends Context.Service<Servers, World.World>()("Servers") {
  static readonly layer = Layer.effect(Servers, World.start)
}

describe("contract, client and host", () => {
  layer(Servers.layer, { excludeTestServices: true })((it) => {
    for (const name of names) {
      it.effect(
        `on ${name}`,
        () =>
          Effect.gen(function* () {
            const { checked } = yield* check(name, yield* Servers)
            assert.isAtLeast(checked.length, 15)
            assert.deepStrictEqual(
              checked.filter(({ failed }) => failed !== undefined),
              []
            )
          }),
        180_000
      )
    }

    it.effect("the walls that hold on Deno are not there on Node.js, so that their check would see it", () =>
      Effect.gen(function* () {
        const world = yield* Servers
        yield* started({ runtime: "node", world })
        const client = yield* connected(world)
        assert.deepStrictEqual(yield* trespassed(client, { world, key: "free" }), { file: "done", url: "done" })
      })
    )
  })
})
