import { assert, it } from "@effect/vitest"
import type { Partition } from "@troupe/actor/engine"
import { Nats, Topology } from "@troupe/nats"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Streams from "../src/Streams.ts"

const natsUrl = Redacted.make(process.env["NATS_URL"] ?? "NATS_URL is not set")
const service = `streams-${process.pid}`
const stream = `EVT_${service}`

it.live(
  "events that are deleted before their age are told, and above all a subscriber that retention is about to pass",
  () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      yield* Effect.gen(function* () {
        const { js, jsm } = yield* Nats
        const limits = { ...Topology.limits, partitions: 1, maxBytes: 1024 ** 2 }
        const ensure = Effect.gen(function* () {
          yield* Topology.ensure("evt", service, limits)
          yield* Topology.ensure("cmd", service, limits)
          yield* Topology.ensurePlaces(service, 1, {})
        })
        yield* Effect.acquireRelease(ensure, () =>
          Effect.promise(async () => {
            for (const kind of ["EVT", "CMD", "PLACE"]) await jsm.streams.delete(`${kind}_${service}`)
          })
        )
        const progress = {
          consumer: {
            id: 1,
            name: "other.log",
            sources: [{ stream, kind: "evt", filter: () => `evt.${service}.0.>` }]
          },
          p: 0,
          ready: true,
          cursors: { [stream]: { seq: 1, id: "" } },
          pending: { [stream]: 500 }
        } as unknown as Partition.Progress & { cursors: Record<string, { seq: number; id: string }> }
        const { sizes, trouble } = yield* Streams.keep({
          service,
          partitions: [progress],
          commandsKept: "1 hour",
          ensure,
          interval: "50 millis"
        })
        const until = (holds: () => boolean) =>
          Effect.repeat(Effect.sync(holds), { until: (is) => is, schedule: Schedule.spaced("20 millis") }).pipe(
            Effect.timeout("20 seconds")
          )
        yield* until(() => sizes().some((one) => one.stream === stream && one.limit === 1024 ** 2))
        assert.deepStrictEqual(trouble(), [])
        // Somebody has it keep one message of each key.
        const { config } = yield* Effect.promise(() => jsm.streams.info(stream))
        yield* Effect.promise(() => jsm.streams.update(stream, { ...config, max_msgs_per_subject: 1 }))
        yield* until(() => trouble().some((text) => /^TRP0403 .*max_msgs_per_subject is 1/.test(text)))
        yield* Effect.promise(() => jsm.streams.update(stream, { ...config, max_msgs_per_subject: -1 }))
        yield* until(() => trouble().length === 0)
        // The fault: more than it may hold, so that it deletes what the subscriber has not read.
        const body = new Uint8Array(10_000)
        for (let i = 0; i < 150; i++) yield* Effect.promise(() => js.publish(`evt.${service}.A.b.k`, body))
        yield* until(() => trouble().some((text) => text.startsWith("TRP0416 ") && text.includes("other.log")))
        yield* until(() => lines.some((line) => line.startsWith("TRP0415 ") && line.includes("30 days")))
        assert.strictEqual(
          lines.filter((line) => line.startsWith("TRP0416 ")).length,
          1,
          "once a minute, not at each look"
        )
        progress.cursors = { [stream]: { seq: 150, id: "" } }
        yield* until(() => trouble().length === 0)
      }).pipe(Effect.scoped, Effect.provide(Layer.mergeAll(Nats.layer({ url: natsUrl }), Logger.layer([logger]))))
    })
)
