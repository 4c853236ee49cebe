// A host in a process of its own, so that it can be killed: node host.ts '{"name": ...}'. Says "ready" when it is.
import { NodeRuntime } from "@effect/platform-node"
import { Reader } from "@troupe/nats"
import { Host, type HostOptions } from "@troupe/service"
import { type CrashPoint, crashAt } from "@troupe/testing/crash"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { counters } from "./counters.ts"
import { newer } from "./newer.ts"

export interface Settings extends Pick<HostOptions, "limits" | "capabilities" | "heartbeat" | "lease"> {
  readonly name: string
  readonly natsUrl: string
  readonly databaseUrl: string
  readonly crash?: CrashPoint
  /** So far, in ms, its machine's clock is ahead. */
  readonly aheadMs?: number
  /** ms */
  readonly lookEvery?: number
  /** Runs the code of the next deploy. */
  readonly newer?: boolean
}

const settings: Settings = JSON.parse(process.argv[2] ?? "{}")
const { aheadMs = 0 } = settings
if (aheadMs !== 0) {
  globalThis.Date = class Ahead extends Date {
    constructor(...of: ReadonlyArray<unknown>) {
      super(...((of.length === 0 ? [Ahead.now()] : of) as [number]))
    }
    static override now(): number {
      return super.now() + aheadMs
    }
  } as DateConstructor
}
const { service } = settings.newer === true ? newer(settings.name) : counters(settings.name)
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
    console.log(`ready ${url}`)
  })
)
ready.pipe(
  Layer.provide(host),
  Layer.provide(settings.lookEvery === undefined ? Layer.empty : Layer.succeed(Reader.LookEvery, settings.lookEvery)),
  Layer.provide(settings.crash === undefined ? Layer.empty : crashAt(settings.crash)),
  Layer.launch,
  NodeRuntime.runMain({
    // SIGTERM is how a host is asked to end.
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })
)
