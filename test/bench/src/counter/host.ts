// A host in a process of its own: node host.ts '{"natsUrl": ..., "databaseUrl": ...}'. Says `ready` when it is.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Host } from "@troupe/service"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import service from "./Counter.ts"

export interface Settings {
  readonly natsUrl: string
  readonly databaseUrl: string
}

const settings: Settings = JSON.parse(process.argv[2] ?? "{}")

const ready = Layer.effectDiscard(
  Effect.gen(function* () {
    const { health, url } = yield* Host
    yield* Effect.repeat(health, { until: ({ ready }) => ready, schedule: Schedule.spaced("10 millis") })
    console.log(`ready ${url}`)
  })
)
ready.pipe(
  Layer.provide(
    Host.layer(service, {
      natsUrl: Redacted.make(settings.natsUrl),
      databaseUrl: Redacted.make(settings.databaseUrl),
      http: { host: "127.0.0.1", port: 0 }
    })
  ),
  Layer.launch,
  NodeRuntime.runMain({
    // SIGTERM is how a host is asked to end.
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })
)
