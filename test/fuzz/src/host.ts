// The host under attack, in a process of its own: node host.ts '{"natsUrl": ..., "databaseUrl": ...}'.
import { NodeRuntime } from "@effect/platform-node"
import { Host } from "@troupe/service"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { service } from "./target.ts"
import { report, say } from "./vitals.ts"

const settings: { readonly natsUrl: string; readonly databaseUrl: string } = JSON.parse(process.argv[2] ?? "{}")
report()
const host = Host.layer(service, {
  natsUrl: Redacted.make(settings.natsUrl),
  databaseUrl: Redacted.make(settings.databaseUrl),
  http: { host: "127.0.0.1", port: 0 }
})
Layer.effectDiscard(
  Effect.gen(function* () {
    const { health, url } = yield* Host
    yield* Effect.repeat(health, { until: ({ ready }) => ready, schedule: Schedule.spaced("20 millis") })
    say({ ready: url })
  })
).pipe(Layer.provide(host), Layer.launch, NodeRuntime.runMain())
