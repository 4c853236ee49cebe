import { assert, it } from "@effect/vitest"
import { AckPolicy } from "@nats-io/jetstream"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { Consumers, Nats, Topology } from "../src/index.ts"

const natsUrl = Redacted.make(process.env["NATS_URL"] ?? "NATS_URL is not set")
const service = `consumers-${process.pid}`

it.live("durable consumers that nobody uses leave their stream, also one that older code made", () =>
  Effect.gen(function* () {
    const { jsm } = yield* Nats
    for (const kind of ["cmd", "evt"] as const) {
      const ensured = Topology.ensure(kind, service, { ...Topology.limits, maxBytes: 1024 ** 2 })
      const made = yield* Effect.acquireRelease(ensured, ({ config }) =>
        Effect.promise(() => jsm.streams.delete(config.name))
      )
      const { name } = made.config
      const threshold = ({ config }: Topology.Info) => config.consumer_limits?.inactive_threshold
      assert.strictEqual(threshold(made), Consumers.idle)
      // As older code made it, and as an operator may have set it by hand.
      for (const [had, has] of [
        [0, Consumers.idle],
        [1_000_000_000, Consumers.idle],
        [2 * Consumers.idle, 2 * Consumers.idle]
      ] as const) {
        const limits = { consumer_limits: { inactive_threshold: had } }
        yield* Effect.promise(() => jsm.streams.update(name, limits))
        assert.strictEqual(threshold(yield* ensured), has)
      }
      // The same with a time that a test can wait for.
      const limits = { consumer_limits: { inactive_threshold: 500_000_000 } }
      yield* Effect.promise(() => jsm.streams.update(name, limits))
      const { config } = yield* Effect.promise(() =>
        jsm.consumers.add(name, { durable_name: "kept", ack_policy: AckPolicy.Explicit })
      )
      assert.strictEqual(config.durable_name, "kept")
      assert.strictEqual((yield* Consumers.look(name)).foreign, 1)
      yield* Consumers.look(name).pipe(
        Effect.repeat({ until: ({ count }) => count === 0, schedule: Schedule.spaced("50 millis") }),
        Effect.timeout("20 seconds")
      )
    }
  }).pipe(Effect.scoped, Effect.provide(Nats.layer({ url: natsUrl })))
)
