import { jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { assert, describe, it } from "@effect/vitest"
import { cluster } from "@troupe/test-world/cluster"
import * as Effect from "effect/Effect"

describe("A cluster of three servers", () => {
  it.live(
    "gives each stream another leader when its leader steps down or is killed, and takes the killed one back",
    () =>
      Effect.gen(function* () {
        const { caughtUp, kill, leaderOf, restart, stepDown, url, urls } = yield* cluster({ servers: 3 })
        assert.lengthOf(urls, 3)
        const nats = yield* Effect.acquireRelease(
          Effect.promise(() =>
            connect({ servers: url.replaceAll("nats://", "").split(","), maxReconnectAttempts: -1 })
          ),
          (nats) => Effect.promise(() => nats.close())
        )
        const jsm = yield* Effect.promise(() => jetstreamManager(nats))
        yield* Effect.promise(() => jsm.streams.add({ name: "KEPT", subjects: ["kept.>"], num_replicas: 3 }))
        const publish = (n: number) => Effect.promise(() => jsm.jetstream().publish("kept.a", `${n}`, { retries: 100 }))

        const first = yield* leaderOf("KEPT")
        yield* publish(1)
        const second = yield* stepDown("KEPT")
        assert.notStrictEqual(second, first)
        yield* publish(2)
        yield* kill(second)
        yield* publish(3)
        assert.notStrictEqual(yield* leaderOf("KEPT"), second)
        yield* restart(second)
        yield* caughtUp("KEPT")
        const { state } = yield* Effect.promise(() => jsm.streams.info("KEPT"))
        assert.strictEqual(state.messages, 3)
      }).pipe(Effect.scoped),
    120_000
  )
})
