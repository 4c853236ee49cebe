import { assert, it } from "@effect/vitest"
import { Actor, State, Subscriber } from "@troupe/actor"
import { Contract } from "@troupe/contract"
import { Host, Service } from "@troupe/service"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

const start = (
  timing: { readonly heartbeat?: string; readonly lease?: string; readonly guard?: object },
  service: Service.Service = Service.make(Contract.make("idle", {}), {})
) =>
  Layer.build(
    Host.layer(service, {
      natsUrl: Redacted.make("nats://127.0.0.1:1"),
      databaseUrl: Redacted.make("postgres://127.0.0.1:1/none"),
      http: { host: "127.0.0.1", port: 0 },
      ...(timing as object)
    })
  ).pipe(Effect.scoped, Effect.flip)

it.effect("a host whose heartbeat, lease or guard is out of bounds does not start, and says why", () =>
  Effect.gen(function* () {
    assert.match((yield* start({ heartbeat: "49 millis" })).message, /^TRP0101 .* · heartbeat · 49 ms is not/)
    assert.match((yield* start({ heartbeat: "11 seconds" })).message, /heartbeat · 11000 ms/)
    assert.match((yield* start({ lease: "2 seconds" })).message, /lease · 2000 ms is not between three heartbeats/)
    assert.match((yield* start({ lease: "61 seconds" })).message, /lease · 61000 ms/)
    assert.match((yield* start({ guard: { noteAfter: 100 } })).message, /guard · noteAfter, 100 ms, is not between/)
    assert.match((yield* start({ guard: { noteAfter: 500, endAfterCpu: 400 } })).message, /guard · noteAfter, 500 ms/)
  })
)

it.effect(
  "a host does not start with a pattern that could stop it, wherever its service reads or writes by it",
  () =>
    Effect.gen(function* () {
      const words = Schema.String.check(Schema.isPattern(/^(\w+ ?)*$/))
      class Slow extends Contract.actor({
        key: Schema.String,
        commands: { say: Contract.command({ payload: { words } }) },
        events: { said: Contract.event({ words }) }
      }) {}
      class Quick extends Contract.actor({ key: Schema.String, commands: { hear: Contract.command({}) } }) {}
      const slow = Contract.make("slow", { Slow })
      const quick = Contract.make("quick", { Quick })
      const idle = Contract.make("idle", {})
      const why = async (service: Service.Service) => (await Effect.runPromise(start({}, service))).message
      const pattern = String.raw`/^(\w+ ?)*$/`
      const hears = { hear: () => {} }
      const older = State.make(words).next(Schema.Int, () => 0)
      const services = {
        "slow.Slow.say: payload": Service.make(idle, { allow: { send: [slow] } }),
        "slow.Slow.said: version 1": Service.make(idle, {
          subscribers: [Subscriber.make("listener").on(slow.Slow.events.said, () => {})]
        }),
        "quick.Quick: state 1": Service.make(quick, {
          actors: [Actor.make(quick.Quick, { state: older, initial: 0 }).commands(hears)]
        }),
        "keeper: state 1": Service.make(idle, {
          subscribers: [Subscriber.make("keeper", { state: words, initial: "" })]
        })
      }
      for (const [at, service] of Object.entries(services))
        assert.include(
          yield* Effect.promise(() => why(service)),
          `TRP0108 a pattern is not known to take linear time · ${at} · ${pattern} · `
        )
      const good = Service.make(quick, {
        actors: [Actor.make(quick.Quick, { state: Schema.Int, initial: 0 }).commands(hears)]
      })
      assert.match((yield* start({ heartbeat: "1 milli" }, good)).message, /^TRP0101 /)
    }),
  60_000
)
