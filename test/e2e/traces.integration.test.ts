import { assert, it } from "@effect/vitest"
import { ask, send } from "@troupe/client"
import { Outbox } from "@troupe/outbox"
import { Db } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import * as Redacted from "effect/Redacted"
import * as Collector from "./src/collector.ts"
import * as World from "./src/world.ts"

/** For hosts that are started from here on. No span goes out by time: those that come were flushed at the end. */
const settings = (url: string): void => {
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = url
  process.env["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/json"
  process.env["OTEL_BSP_SCHEDULE_DELAY"] = "3600000"
}

const tracer = (url: string) =>
  OtlpTracer.layer({ url: `${url}/v1/traces`, resource: { serviceName: "web" } }).pipe(
    Layer.provide([OtlpSerialization.layerJson, FetchHttpClient.layer])
  )

it.live(
  "one trace goes from the caller through the turn, the outbox and the stream to the subscriber's turn",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const collector = yield* Collector.start()
      settings(collector.url)
      const host = yield* world.start({ parking: { attempts: 1 } })
      const { Counter } = world.contract
      yield* Effect.gen(function* () {
        yield* ask(Counter.at("secret").add({ n: 1 }))
        yield* send(Counter.at("secret").spread({ to: ["far"] }))
        yield* ask(Counter.at("written").record({ n: 1, then: "reply" }))
        yield* Effect.flip(ask(Counter.at("bad").flaky({ times: 9 })))
        const db = yield* Db
        yield* Effect.withSpan(db.transaction(Outbox.enqueue(Counter.at("plain").add({ n: 1 }))), "checkout")
        yield* World.until(
          () => world.sql`select count(*)::int as n from app.log`.then(([row]) => row!["n"] as number),
          (n) => n >= 3
        )
      }).pipe(
        Effect.provide([world.client, Db.layer({ url: Redacted.make(world.databaseUrl) })]),
        Effect.provide(tracer(collector.url))
      )
      host.kill("SIGTERM")
      assert.deepStrictEqual(yield* host.ended, { code: 0, signal: null })

      const { spans } = collector
      const type = `${world.name}.Counter`
      const below = (parent: Collector.Span) => spans.filter(({ parentSpanId }) => parentSpanId === parent.spanId)
      const chain = (parent: Collector.Span): ReadonlyArray<string> => [
        parent.name,
        ...below(parent).flatMap((child) => {
          assert.strictEqual(child.traceId, parent.traceId)
          assert.isTrue(BigInt(child.startTimeUnixNano) >= BigInt(parent.startTimeUnixNano))
          assert.isTrue(BigInt(child.endTimeUnixNano) >= BigInt(child.startTimeUnixNano))
          return chain(child)
        })
      ]
      const roots = spans.filter(({ parentSpanId }) => parentSpanId === undefined)
      assert.sameDeepMembers(roots.map(chain), [
        [`ask ${type}.add`, `${type}.add`, `${type}.added`],
        [`send ${type}.spread`, `${type}.spread`, `${type}.add`, `${type}.added`],
        // Run twice, since it asks for `Db`; kept once.
        [`ask ${type}.record`, `${type}.record`],
        [`ask ${type}.flaky`, `${type}.flaky`],
        ["checkout", `${type}.add`, `${type}.added`]
      ])
      const turn = spans.find(({ name }) => name === `${type}.added`)!
      assert.strictEqual(turn.service, world.name)
      assert.strictEqual(turn.kind, 5, "consumer")
      const attributes = Object.fromEntries(turn.attributes.map(({ key, value }) => [key, value.stringValue]))
      assert.deepInclude(attributes, {
        "messaging.system": "nats",
        "messaging.operation.type": "process",
        "messaging.destination.name": `EVT_${world.name}`,
        "messaging.consumer.group.name": `${world.name}.log`,
        "troupe.outcome": "event"
      })
      assert.notInclude(JSON.stringify(spans), "secret", "keys may be a person's")
      const failed = spans.find(({ name }) => name === `${type}.flaky`)!
      assert.strictEqual(failed.status.code, 2)
      assert.include(failed.status.message, "TRP0301")
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "a host whose tracing is set wrongly says so, and works without",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      settings("no url")
      const host = yield* world.start()
      assert.match(host.output(), /TRP0101 .* · OTEL_\* · nothing is traced: .*OTEL_EXPORTER_OTLP_ENDPOINT/)
      assert.strictEqual(yield* Effect.provide(ask(world.contract.Counter.at("k").add({ n: 1 })), world.client), 1)
    }).pipe(Effect.scoped),
  60_000
)

it.live(
  "a collector that never answers costs spans: turns go on, few requests are open, and the host ends in time",
  () =>
    Effect.gen(function* () {
      const world = yield* World.make
      const collector = yield* Collector.start(true)
      settings(collector.url)
      const host = yield* world.start()
      const turns = Array.from({ length: 2_000 }, (_, i) => world.contract.Counter.at(`k${i % 100}`).add({ n: 1 }))
      yield* Effect.forEach(turns, (turn) => ask(turn, { timeout: "50 seconds" }), {
        concurrency: 500,
        discard: true
      }).pipe(Effect.provide(world.client))
      assert.isAtLeast(collector.requests.most, 1)
      assert.isAtMost(collector.requests.most, 2)
      const since = performance.now()
      host.kill("SIGTERM")
      assert.deepStrictEqual(yield* host.ended, { code: 0, signal: null })
      assert.isBelow(performance.now() - since, 10_000)
    }).pipe(Effect.scoped),
  60_000
)
