import { Codes, Subject } from "@troupe/contract"
import { Consumers, type Nats, Topology } from "@troupe/nats"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as limits from "../run/limits.ts"
import { outlook, shown, size } from "../streams/outlook.ts"
import { fail, failed, type Finding, ok, warn } from "./Finding.ts"

/** The two streams of each service, and their consumers. */
export const streams = (services: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Finding>, never, Nats> =>
  Effect.map(
    Effect.forEach(
      services.flatMap((service) => (["evt", "cmd"] as const).map((kind) => [kind, service] as const)),
      ([kind, service]) => look(kind, service)
    ),
    (all) => all.flat()
  )

const look = (kind: Subject.Kind, service: string) =>
  Effect.gen(function* () {
    const name = Subject.stream(kind, service)
    const check = `stream ${name}`
    const found = yield* Topology.find(name)
    if (found === undefined) return [warn(check, "it is not there", `start ${service} once: it creates its streams`)]
    const partitions = Topology.partitionsOf(found.config)
    const wrong = Topology.differences(found.config, kind, service, partitions ?? Topology.limits.partitions)
    const now = found.ts === undefined ? yield* Clock.currentTimeMillis : Date.parse(found.ts)
    const shape = wrong.length > 0 ? fail(check, wrong.join("; "), mend) : yield* fill(kind, found, now)
    return [shape, ...(yield* consumersOf(found))]
  }).pipe(Effect.catch((error) => Effect.succeed([failed(`stream ${Subject.stream(kind, service)}`, error)])))

/** Whether idle consumers are deleted, which ones Troupe did not make, and whether there is room for more. */
const consumersOf = (found: Topology.Info) =>
  Effect.gen(function* () {
    const { name } = found.config
    const check = `consumers of ${name}`
    const told = (code: "TRP0422" | "TRP0423" | "TRP0424", why: string): Finding =>
      warn(check, `${code} ${Codes.codes[code].what}: ${why}`, Codes.codes[code].todo)
    const seen = yield* Consumers.look(name)
    const scarce = Consumers.scarce(found)
    const findings = [
      ...(Consumers.isBounded(found.config) ? [] : [told("TRP0422", "it has no limit of 5 minutes or more for them")]),
      ...(seen.foreign > 0 ? [told("TRP0423", Consumers.says(seen))] : []),
      ...(scarce === undefined ? [] : [told("TRP0424", scarce)])
    ]
    return findings.length > 0 ? findings : [ok(check, `${seen.count}, of at most ${found.config.max_consumers}`)]
  })

const mend = "mend or delete the stream; a partition count is fixed for good"

/** How full it is, its limits, and when it will be full. */
const fill = (kind: Subject.Kind, found: Topology.Info, now: number) =>
  Effect.gen(function* () {
    const { config, state } = found
    const { commandsKept = Topology.limits.commandsKept } = yield* limits.of()
    const age = Duration.millis(config.max_age / 1e6)
    const { fullOn, says: coming } = outlook(found, kind === "cmd" || config.max_age === 0 ? commandsKept : age, now)
    const full = config.max_bytes > 0 ? state.bytes / config.max_bytes : 0
    const says = [
      `${Topology.partitionsOf(config)} partitions, ${state.messages} messages, ${Math.round(full * 100)} % of its ${size(config.max_bytes)}`,
      coming,
      [
        ...(config.max_age > 0 ? [`max_age ${shown(age)}`] : []),
        `duplicate_window ${shown(config.duplicate_window / 1e6)}`,
        `replicas ${config.num_replicas}`
      ].join(", ")
    ].join("; ")
    const check = `stream ${config.name}`
    const day = fullOn === undefined ? {} : { fullOn }
    const soon = fullOn !== undefined && Date.parse(fullOn) - now < 7 * 86_400_000
    if (kind === "cmd" && full > 0.8)
      return {
        ...warn(check, says, "let the service catch up, or raise max_bytes: a full stream refuses senders"),
        ...day
      }
    if (!soon) return { ...ok(check, says), ...day }
    const todo =
      kind === "cmd"
        ? "raise max_bytes (troupe streams set), or keep commands for less time: their history gets shorter then"
        : "raise max_bytes (troupe streams set): events are deleted before their age then"
    return { ...warn(check, says, todo), ...day }
  })
