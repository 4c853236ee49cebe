import { assert, it } from "@effect/vitest"
import { NatsServer } from "@troupe/embedded"
import { Nats, Topology } from "@troupe/nats"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { database } from "./database.ts"
import { start, troupe } from "./troupe.ts"

const service = "cli-alpha"

it.live(
  "troupe doctor names the day on which a small stream will be full, and troupe streams changes its limits",
  () =>
    Effect.gen(function* () {
      const server = yield* NatsServer.start()
      const env = { NATS_URL: server.url, DATABASE_URL: undefined }
      yield* Effect.gen(function* () {
        const { js } = yield* Nats
        const limits = { ...Topology.limits, maxBytes: 4 * 1024 ** 2 }
        yield* Topology.ensure("evt", service, limits)
        yield* Topology.ensure("cmd", service, limits)
        yield* Topology.ensurePlaces(service, 1)
        for (let i = 0; i < 50; i++)
          yield* Effect.promise(() => js.publish(`evt.${service}.Order.placed.k${i}`, new Uint8Array(200)))
      }).pipe(Effect.scoped, Effect.provide(Nats.layer({ url: Redacted.make(server.url) })))

      const before = new Date().toISOString().slice(0, 10)
      const { findings } = JSON.parse((yield* troupe(["doctor", "--json"], env)).out)
      const events = findings.find(({ check }: { check: string }) => check === `stream EVT_${service}`)
      assert.match(events.fullOn, /^\d{4}-\d\d-\d\d$/)
      assert.isTrue(events.fullOn >= before)
      assert.include(events.says, `full on ${events.fullOn}`)
      assert.include(events.says, "max_age 30d, duplicate_window 2m, replicas 1")
      const commands = findings.find(({ check }: { check: string }) => check === `stream CMD_${service}`)
      assert.include(commands.says, "nothing is published")

      const set = yield* troupe(["streams", "set", "--stream-max-bytes", "8MiB", "--events-kept", "7d", "--json"], env)
      assert.strictEqual(set.code, 0, set.err)
      const list = JSON.parse((yield* troupe(["streams", "list", "--service", service, "--json"], env)).out).streams
      assert.deepStrictEqual(
        list.map((one: Record<string, unknown>) => [one["stream"], one["maxBytes"], one["maxAgeMs"]]),
        [
          [`CMD_${service}`, 8 * 1024 ** 2, 0],
          [`EVT_${service}`, 8 * 1024 ** 2, 7 * 86_400_000],
          [`PLACE_${service}`, 16 * 1024 ** 2, 0]
        ]
      )
      // A stream of older code, which a host may not be allowed to change, and what somebody made there.
      yield* Effect.gen(function* () {
        const { jsm } = yield* Nats
        const name = `EVT_${service}`
        yield* Effect.promise(() => jsm.streams.update(name, { consumer_limits: {} }))
        yield* Effect.promise(() => jsm.consumers.add(name, { durable_name: "kept", ack_policy: "explicit" }))
      }).pipe(Effect.scoped, Effect.provide(Nats.layer({ url: Redacted.make(server.url) })))
      const consumers = (out: string) =>
        (JSON.parse(out).findings as ReadonlyArray<{ check: string; status: string; says: string }>)
          .filter(({ check }) => check === `consumers of EVT_${service}`)
          .map(({ says, status }) => `${status} ${says}`)
      const [idle, foreign, ...others] = consumers((yield* troupe(["doctor", "--json"], env)).out)
      assert.match(idle ?? "", /^warn TRP0422 /)
      assert.match(foreign ?? "", /^warn TRP0423 .*: 1 consumer: kept \(it is durable\)$/)
      assert.deepStrictEqual(others, [])
      // Without a limit it bounds how long idle consumers are kept, and changes nothing else.
      const bounded = yield* troupe(["streams", "set", "--service", service, "--json"], env)
      assert.strictEqual(bounded.code, 0, bounded.err)
      assert.match(consumers((yield* troupe(["doctor", "--json"], env)).out).join(), /^warn TRP0423 [^,]*$/)
      // It holds more, and a single server has no room for three copies.
      const small = yield* troupe(["streams", "set", "--stream-max-bytes", "1kB"], env)
      assert.strictEqual(small.code, 1)
      assert.match(small.out, /TRP0417 .*EVT_cli-alpha/)
      const copies = yield* troupe(["streams", "set", "--replicas", "3"], env)
      assert.strictEqual(copies.code, 1)
      assert.match(copies.out, /TRP0617 .*EVT_cli-alpha.* 3 replicas need a cluster of 3 servers/)
      assert.match((yield* troupe(["streams", "set", "--replicas", "2"], env)).err, /^TRP0101 .*--replicas.* 1, 3 or 5/)
      const listed = yield* troupe(["streams", "list"], env)
      assert.match(listed.out, /^EVT_cli-alpha: 50 messages, .*\/s over the last \d+ seconds; full on /m)
      assert.match((yield* troupe(["streams", "list", "--service", "none"], env)).err, /^TRP0608 /)
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "troupe run gives its streams the limits of its flags and of the environment",
  () =>
    Effect.gen(function* () {
      const server = yield* NatsServer.start()
      const { url } = yield* database
      const main = "services/alpha/src/main.ts"
      const env = { NATS_URL: server.url, DATABASE_URL: Redacted.value(url), TROUPE_EVENTS_KEPT: "3d" }
      assert.strictEqual((yield* troupe(["migrate", main], env)).code, 0)
      const flags = ["--stream-max-bytes", "8MiB", "--duplicate-window", "90s", "--http-port", "0", "--json"]
      yield* (yield* start(["run", main, ...flags], env)).line
      const { streams } = JSON.parse((yield* troupe(["streams", "list", "--json"], env)).out)
      const events = streams.find(({ stream }: { stream: string }) => stream === `EVT_${service}`)
      assert.deepInclude(events, {
        maxBytes: 8 * 1024 ** 2,
        maxAgeMs: 3 * 86_400_000,
        duplicateWindowMs: 90_000,
        replicas: 1
      })
      const wrong = yield* troupe(["run", main, "--duplicate-window", "2h"], env)
      assert.match(wrong.err, /^TRP0101 .*duplicate window/)
    }).pipe(Effect.scoped),
  120_000
)
