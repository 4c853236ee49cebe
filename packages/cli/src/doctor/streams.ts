import { Subject } from "@troupe/contract"
import { type Nats, Topology } from "@troupe/nats"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { clock } from "./clock.ts"
import { fail, failed, type Finding, ok, warn } from "./Finding.ts"

/** The two streams of each service, and the server's clock, which it says with a stream. */
export const streams = (services: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Finding>, never, Nats> =>
  Effect.gen(function* () {
    const looked = yield* Effect.forEach(services, (service) =>
      Effect.forEach(["evt", "cmd"] as const, (kind) => look(kind, service))
    )
    const all = looked.flat()
    const clocks = all.flatMap(({ clock }) => (clock === undefined ? [] : [clock]))
    return [...all.map(({ finding }) => finding), ...clocks.slice(0, 1)]
  })

const look = (kind: Subject.Kind, service: string) =>
  Effect.gen(function* () {
    const name = Subject.stream(kind, service)
    const check = `stream ${name}`
    const before = yield* Clock.currentTimeMillis
    const found = yield* Topology.find(name)
    const after = yield* Clock.currentTimeMillis
    if (found === undefined) {
      return {
        finding: warn(check, "it is not there", `start ${service} once: it creates its streams`),
        clock: undefined
      }
    }
    const partitions = Topology.partitionsOf(found.config)
    const wrong = Topology.differences(found.config, kind, service, partitions ?? Topology.limits.partitions)
    const { bytes, messages } = found.state
    const full = found.config.max_bytes > 0 ? bytes / found.config.max_bytes : 0
    const says = `${partitions} partitions, ${messages} messages, ${Math.round(full * 100)} % of its bytes`
    return {
      finding:
        wrong.length > 0
          ? fail(check, wrong.join("; "), "mend or delete the stream; a partition count is fixed for good")
          : kind === "cmd" && full > 0.8
            ? warn(check, says, "let the service catch up, or raise max_bytes: a full stream refuses senders")
            : ok(check, says),
      clock: found.ts === undefined ? undefined : clock("nats clock", Date.parse(found.ts), before, after)
    }
  }).pipe(
    Effect.catch((error) =>
      Effect.succeed({ finding: failed(`stream ${Subject.stream(kind, service)}`, error), clock: undefined })
    )
  )
