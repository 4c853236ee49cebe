import { flushCompileCache } from "node:module"
import { NodeRuntime } from "@effect/platform-node"
import { Host, type HostOptions, type Service } from "@troupe/service"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"

/** What a test tells a host process. */
export interface Settings extends Pick<
  HostOptions,
  "limits" | "deadLetters" | "capabilities" | "parking" | "heartbeat" | "lease" | "guard"
> {
  readonly natsUrl: string
  readonly databaseUrl: string
}

/** Runs a host until SIGTERM, which is how it is asked to end, or until the test that started it is gone. Says `ready <url>` on stdout when it is. */
export const run = (service: Service.Service, settings: Settings, faults: Layer.Layer<never> = Layer.empty): void => {
  process.on("disconnect", () => process.exit(1))
  process.channel?.unref()
  const host = Host.layer(service, {
    ...settings,
    natsUrl: Redacted.make(settings.natsUrl),
    databaseUrl: Redacted.make(settings.databaseUrl),
    http: { host: "127.0.0.1", port: 0 }
  })
  const ready = Layer.effectDiscard(
    Effect.gen(function* () {
      const { health, url } = yield* Host
      yield* Effect.repeat(health, { until: ({ ready }) => ready, schedule: Schedule.spaced("20 millis") })
      process.stdout.write(`ready ${url}\n`)
      // Most hosts are killed.
      flushCompileCache()
    })
  )
  ready.pipe(
    Layer.provide(host),
    Layer.provide(faults),
    Layer.launch,
    NodeRuntime.runMain({
      teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
    })
  )
}
