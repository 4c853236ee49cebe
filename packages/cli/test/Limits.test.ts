import { assert, describe, it } from "@effect/vitest"
import type { Topology } from "@troupe/nats"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as limits from "../src/run/limits.ts"
import { outlook } from "../src/streams/outlook.ts"

describe("limits of streams", () => {
  it.effect("come from flags, else from the environment; what is not set is not there", () =>
    Effect.gen(function* () {
      const environment = {
        TROUPE_STREAM_MAX_BYTES: "2GiB",
        TROUPE_COMMANDS_KEPT: "90m",
        TROUPE_EVENTS_KEPT: "7 days",
        TROUPE_REPLICAS: "3",
        TROUPE_DUPLICATE_WINDOW: "30s"
      }
      assert.deepStrictEqual(yield* limits.of(limits.unset, {}), {})
      const set = yield* limits.of(limits.unset, environment)
      assert.deepInclude(set, { maxBytes: 2 * 1024 ** 3, replicas: 3 })
      assert.deepStrictEqual(
        [set.commandsKept!, set.eventsKept!, set.duplicateWindow!].map(Duration.toMillis),
        [5_400_000, 604_800_000, 30_000]
      )
      const flags = { ...limits.unset, streamMaxBytes: Option.some("500 MB") }
      assert.strictEqual((yield* limits.of(flags, environment)).maxBytes, 5e8)
      assert.deepStrictEqual(limits.toEnvironment(flags), { TROUPE_STREAM_MAX_BYTES: "500 MB" })
    })
  )

  it.effect("that are none are refused, by the name under which they were given", () =>
    Effect.gen(function* () {
      const refused = (environment: Record<string, string>) =>
        Effect.map(Effect.flip(limits.of(limits.unset, environment)), ({ message }) => message)
      assert.match(yield* refused({ TROUPE_STREAM_MAX_BYTES: "much" }), /^TRP0101 .*TROUPE_STREAM_MAX_BYTES/)
      assert.match(yield* refused({ TROUPE_REPLICAS: "7" }), /^TRP0101 .*TROUPE_REPLICAS/)
      assert.match(yield* refused({ TROUPE_REPLICAS: "2" }), /^TRP0101 .*TROUPE_REPLICAS.*1, 3 or 5/)
      // What the outbox publishes again must find its ids forgotten by the stream, and remembered by the receiver.
      assert.match(yield* refused({ TROUPE_DUPLICATE_WINDOW: "1h" }), /duplicate window/)
      const flags = { ...limits.unset, eventsKept: Option.some("soon") }
      assert.match((yield* Effect.flip(limits.of(flags, {}))).message, /--events-kept/)
    })
  )
})

describe("limits of dead letters", () => {
  it.effect("come from flags, else from the environment, and are refused when they are none", () =>
    Effect.gen(function* () {
      const environment = { TROUPE_DEAD_LETTERS: "500", TROUPE_DEAD_LETTERS_MAX_BYTES: "1MiB" }
      assert.deepStrictEqual(yield* limits.ofDeadLetters(limits.unset, {}), {})
      assert.deepStrictEqual(yield* limits.ofDeadLetters(limits.unset, environment), { messages: 500, bytes: 2 ** 20 })
      const flags = { ...limits.unset, deadLetters: Option.some("7") }
      assert.deepStrictEqual(yield* limits.ofDeadLetters(flags, {}), { messages: 7 })
      for (const wrong of ["0", "-1", "1.5", "many"]) {
        const error = yield* Effect.flip(limits.ofDeadLetters(limits.unset, { TROUPE_DEAD_LETTERS: wrong }))
        assert.match(error.message, /^TRP0101 .*TROUPE_DEAD_LETTERS/)
      }
    })
  )
})

describe("the outlook of a stream", () => {
  const now = Date.UTC(2026, 0, 10)
  const info = (over: { bytes: number; limit: number; name?: string; first?: string }) =>
    ({
      config: { name: over.name ?? "EVT_orders", max_bytes: over.limit },
      state: {
        messages: 1_000,
        bytes: over.bytes,
        first_seq: 1,
        last_seq: 1_000,
        first_ts: over.first ?? "2026-01-09T00:00:00Z"
      }
    }) as unknown as Topology.Info

  it("names the day on which it is full", () => {
    // A tenth of it in a day: nine tenths are free.
    const { fullOn, says } = outlook(info({ bytes: 100, limit: 1_000 }), "30 days", now)
    assert.strictEqual(fullOn, "2026-01-19")
    assert.include(says, "full on 2026-01-19: from then on its oldest messages are deleted")
    assert.include(says, "over the last 24 hours")
  })

  it("names none when what is kept fits", () => {
    const { fullOn, settles, says } = outlook(info({ bytes: 100, limit: 10_000 }), "30 days", now)
    assert.strictEqual(fullOn, undefined)
    assert.approximately(settles, 0.3, 0.01)
    assert.include(says, "will not be full")
  })

  it("takes no rate from a burst, unless the stream is small or the burst has filled much of it", () => {
    const first = "2026-01-09T23:59:59.763Z"
    const burst = outlook(info({ bytes: 30_000, limit: 1024 ** 3, first }), "30 days", now)
    assert.strictEqual(burst.fullOn, undefined)
    assert.strictEqual(burst.rate, undefined)
    assert.include(burst.says, "too short a time for a rate")
    const small = outlook(info({ bytes: 30_000, limit: 1024 ** 2, first }), "30 days", now)
    assert.strictEqual(small.fullOn, "2026-01-10")
    assert.strictEqual(outlook(info({ bytes: 2e8, limit: 1024 ** 3, first }), "30 days", now).fullOn, "2026-01-10")
  })

  it("says of commands that handled ones make room before senders are refused", () => {
    const { fullOn, says } = outlook(info({ bytes: 100, limit: 1_000, name: "CMD_orders" }), "30 days", now)
    assert.strictEqual(fullOn, "2026-01-19")
    assert.match(says, /from half full on handled commands are, .*senders are refused only when/)
  })
})
