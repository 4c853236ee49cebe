import { assert, it } from "@effect/vitest"
import type { Partition } from "@troupe/actor/engine"
import { Subject } from "@troupe/contract"
import { Nats, Reader, Topology } from "@troupe/nats"
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

it.live("a host says which consumers of its streams Troupe did not make, and when a stream has room for few more", () =>
  Effect.gen(function* () {
    const { jsm } = yield* Nats
    const name = `strangers-${process.pid}`
    const stream = Subject.stream("evt", name)
    const limits = { ...Topology.limits, partitions: 1, maxBytes: 1024 ** 2 }
    const ensure = Effect.gen(function* () {
      yield* Topology.ensure("cmd", name, limits)
      yield* Topology.ensurePlaces(name, 1, {})
      const { config } = yield* Topology.ensure("evt", name, limits)
      // One that is full of consumers after four.
      yield* Effect.promise(() => jsm.streams.delete(stream))
      yield* Effect.promise(() => jsm.streams.add({ ...config, max_consumers: 4 }))
    })
    yield* Effect.acquireRelease(ensure, () =>
      Effect.promise(async () => {
        for (const kind of ["cmd", "evt", "place"] as const) await jsm.streams.delete(Subject.stream(kind, name))
      })
    )
    const reader = {
      stream,
      filter: Subject.filter("evt", name, 0),
      after: undefined,
      into: () => undefined,
      moved: () => Effect.void
    }
    yield* Effect.forkScoped(Reader.read(reader))
    const { sizes, trouble } = yield* Streams.keep({
      service: name,
      partitions: [],
      commandsKept: "1 hour",
      ensure,
      interval: "50 millis",
      listing: "50 millis"
    })
    const until = (holds: () => boolean) =>
      Effect.repeat(Effect.sync(holds), { until: (is) => is, schedule: Schedule.spaced("20 millis") }).pipe(
        Effect.timeout("20 seconds")
      )
    const consumers = () => sizes().find((one) => one.stream === stream)?.consumers
    const told = (code: string) => trouble().find((text) => text.startsWith(`${code} `)) ?? ""
    yield* until(() => consumers() === 1)
    const add = (config: Parameters<typeof jsm.consumers.add>[1]) =>
      Effect.promise(() => jsm.consumers.add(stream, config))
    yield* add({ durable_name: "one", ack_policy: "explicit" })
    yield* until(() => consumers() === 2 && told("TRP0423") !== "")
    assert.match(told("TRP0423"), new RegExp(`^TRP0423 .* · ${stream} · 1 consumer: one \\(it is durable\\) · `))
    assert.strictEqual(told("TRP0424"), "")
    yield* add({ name: "two", ack_policy: "none", inactive_threshold: 60e9, deliver_subject: "strangers.two" })
    yield* add({ name: "three", ack_policy: "explicit", inactive_threshold: 60e9 })
    yield* until(() => told("TRP0424") !== "" && told("TRP0423").includes("3 consumers"))
    assert.include(told("TRP0424"), ` · ${stream} · 4 of 4 consumers · `)
    assert.include(told("TRP0423"), "two (it pushes)")
    assert.include(told("TRP0423"), "three (it acknowledges)")
    for (const one of ["one", "two", "three"]) yield* Effect.promise(() => jsm.consumers.delete(stream, one))
    yield* until(() => trouble().length === 0)
  }).pipe(Effect.scoped, Effect.provide(Nats.layer({ url: natsUrl })))
)
