import { assert, it } from "@effect/vitest"
import { Contract } from "@troupe/contract"
import { Host, Service } from "@troupe/service"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

const start = (timing: { readonly heartbeat?: string; readonly lease?: string; readonly guard?: object }) =>
  Layer.build(
    Host.layer(Service.make(Contract.make("idle", {}), {}), {
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
