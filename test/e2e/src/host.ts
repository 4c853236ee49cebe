// A host in a process of its own, so that it can be killed: node host.ts '{"name": ...}'. Says "ready" when it is.
import { shift } from "@troupe/test-world/clock"
import { run, type Settings as HostSettings } from "@troupe/test-world/host"
import type { Actor } from "@troupe/actor"
import { Reader } from "@troupe/nats"
import { type CrashPoint, crashAt } from "@troupe/testing/crash"
import * as Layer from "effect/Layer"
import { counters } from "./counters.ts"
import { ledgers } from "./ledgers.ts"
import { newer } from "./newer.ts"
import { throwers } from "./throwers.ts"

export interface Settings extends HostSettings {
  readonly name: string
  readonly crash?: CrashPoint
  /** The handlers of the counters run there. */
  readonly edge?: Actor.EdgeOptions
  /** Runs the code of the next deploy. */
  readonly newer?: boolean
  /** Runs the ledgers instead of the counters. */
  readonly ledgers?: "service" | "newer"
  /** Runs what throws instead of the counters. */
  readonly throwers?: boolean
  /** So far, in ms, its machine's clock is ahead. */
  readonly aheadMs?: number
  /** ms */
  readonly lookEvery?: number
}

const settings: Settings = JSON.parse(process.argv[2] ?? "{}")
shift(settings.aheadMs ?? 0)
process.on("message", ({ clock }: { readonly clock: number }) => {
  shift(clock)
  process.stdout.write(`clock ${Date.now()}\n`)
})
const { service } =
  settings.ledgers !== undefined
    ? { service: ledgers(settings.name)[settings.ledgers] }
    : settings.throwers === true
      ? throwers(settings.name)
      : settings.newer === true
        ? newer(settings.name)
        : counters(settings.name, settings.edge)
const crashing = settings.crash === undefined ? Layer.empty : crashAt(settings.crash)
const looking = settings.lookEvery === undefined ? Layer.empty : Layer.succeed(Reader.LookEvery, settings.lookEvery)
run(service, settings, Layer.merge(crashing, looking))
