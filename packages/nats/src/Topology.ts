import {
  DiscardPolicy,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo
} from "@nats-io/jetstream"
import { Subject } from "@troupe/contract"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Consumers from "./Consumers.ts"
import { describe, failure, Nats, type NatsError, refused } from "./Nats.ts"

/** How a service's own two streams are made. What exists keeps its limits, unless others are set; its shape must be this one. */
export interface Limits {
  /** A power of two, fixed for good. Default 16. */
  readonly partitions: number
  /** How long the server drops a message id that it has seen. Default 2 minutes. */
  readonly duplicateWindow: Duration.Input
  /** Bytes that each stream may hold; the server reserves them. Default 1 GiB. */
  readonly maxBytes: number
  /** How long events are kept. Default 30 days. Commands have no age: it would delete what nobody handled yet. */
  readonly eventsKept: Duration.Input
  /** How long commands stay after they were handled, for replay: their owner purges them. Default 24 hours. */
  readonly commandsKept: Duration.Input
  readonly replicas: number
}
/** The defaults. */
export const limits: Limits = {
  partitions: 16,
  duplicateWindow: "2 minutes",
  maxBytes: 1024 ** 3,
  eventsKept: "30 days",
  commandsKept: "24 hours",
  replicas: 1
}

/** What a stream is given beside its shape. */
interface Marked {
  readonly metadata?: Readonly<Record<string, string>>
  readonly set?: Partial<Limits> | undefined
}

/**
 * Creates the stream of a service, with `metadata`, or checks the one that is there and gives it the limits that are set: `set`
 * has no defaults, so that what somebody gave the stream by hand stays. In both cases the stream deletes idle consumers; where
 * the user may not change a stream that does not yet, that is logged (TRP0422).
 */
export const ensure = (
  kind: Subject.Kind,
  service: string,
  limits: Limits,
  { metadata = {}, set = {} }: Marked = {}
): Effect.Effect<StreamInfo, NatsError, Nats> =>
  Effect.gen(function* () {
    const { capabilities } = yield* Nats
    const name = Subject.stream(kind, service)
    const found = yield* find(name)
    if (found !== undefined) {
      const wrong = differences(found.config, kind, service, limits.partitions)
      if (wrong.length > 0) return yield* failure("TRP0403", name, wrong.join("; "))
      return yield* apply(yield* bounded(found), configOf(kind, set))
    }
    const config = {
      name,
      description: `Troupe: ${kind === "evt" ? "events" : "commands"} of ${service}`,
      subjects: [Subject.accepted(kind, service)],
      subject_transform: {
        src: Subject.accepted(kind, service),
        dest: Subject.transformed(kind, service, limits.partitions)
      },
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: kind === "cmd" ? DiscardPolicy.New : DiscardPolicy.Old,
      max_age: 0,
      ...configOf(kind, limits),
      max_consumers: Consumers.most,
      consumer_limits: Consumers.limits,
      metadata: { ...metadata },
      ...(capabilities.atomicBatch ? { allow_atomic: true } : {}),
      ...(capabilities.fastIngest ? { allow_batched: true } : {})
    } as Partial<StreamConfig> & { readonly name: string }
    // Another host, or another environment, may have made it meanwhile.
    return yield* Effect.catch(add(config), (error) =>
      Effect.flatMap(find(name), (made) =>
        made === undefined ? Effect.fail(error) : ensure(kind, service, limits, { metadata, set })
      )
    )
  })

const bounded = (found: StreamInfo): Effect.Effect<StreamInfo, never, Nats> =>
  Effect.catch(Consumers.bound(found), (error) => Effect.as(Effect.logWarning(error.message), found))

/** What places may take together, bytes: about 50,000 of them. */
const placesBytes = 16 * 1024 ** 2

/** Creates the stream of the places up to which durable subscriptions have read a service's events, or checks the one that is there. */
export const ensurePlaces = (
  service: string,
  replicas: number,
  set: Partial<Limits> = {}
): Effect.Effect<StreamInfo, NatsError, Nats> =>
  Effect.gen(function* () {
    const name = Subject.stream("place", service)
    const shape = {
      subjects: [Subject.place(service, "*", "*")],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      // A place that went unnoticed would let its subscription begin anew.
      discard: DiscardPolicy.New,
      max_age: 0,
      max_msgs_per_subject: 1,
      // One place is a fourth of it.
      max_msg_size: 1_024,
      allow_direct: true
    }
    const found = yield* find(name)
    if (found === undefined) {
      const description = `Troupe: how far durable subscriptions have read the events of ${service}`
      return yield* add({ ...shape, name, description, max_bytes: placesBytes, num_replicas: replicas })
    }
    const wrong = Object.entries(shape).flatMap(([what, wanted]) => {
      const is = JSON.stringify(found.config[what as keyof StreamConfig])
      return is === JSON.stringify(wanted) ? [] : [`${what} is ${is}, not ${JSON.stringify(wanted)}`]
    })
    if (wrong.length > 0) return yield* failure("TRP0403", name, wrong.join("; "))
    return yield* apply(found, changes(name, set))
  })

/** What limits change in a stream of this name: a stream of places has replicas only. */
export const changes = (name: string, limits: Partial<Limits>): Changes =>
  name.startsWith("PLACE_")
    ? limits.replicas === undefined
      ? {}
      : { num_replicas: limits.replicas }
    : configOf(name.startsWith("EVT_") ? "evt" : "cmd", limits)

/** The limits as the server has them. */
const configOf = (kind: Subject.Kind, limits: Partial<Limits>): Changes => ({
  ...(limits.maxBytes === undefined ? {} : { max_bytes: limits.maxBytes }),
  ...(limits.eventsKept === undefined || kind === "cmd" ? {} : { max_age: nanos(limits.eventsKept) }),
  ...(limits.duplicateWindow === undefined ? {} : { duplicate_window: nanos(limits.duplicateWindow) }),
  ...(limits.replicas === undefined ? {} : { num_replicas: limits.replicas })
})

/** Limits of a stream that can be changed while it is in use; as nats-server names and counts them. */
export type Changes = Partial<Pick<StreamConfig, "max_bytes" | "max_age" | "duplicate_window" | "num_replicas">>

/**
 * Changes the limits of a stream and logs what was changed. What the stream does not fit into, or the server refuses
 * is logged as TRP0417 (TRP0617: too few servers for the replicas), and the stream stays as it is.
 */
export const apply = (found: StreamInfo, changes: Changes): Effect.Effect<StreamInfo, never, Nats> =>
  change(found, changes).pipe(
    Effect.tap((after) =>
      after === found
        ? Effect.void
        : Effect.logInfo(`${found.config.name}: changed ${changed(found, changes).join(", ")}`)
    ),
    Effect.catch((error) => Effect.as(Effect.logError(error.message), found))
  )

/** What would change, for a person. */
const changed = ({ config }: StreamInfo, changes: Changes): ReadonlyArray<string> =>
  (Object.keys(changes) as ReadonlyArray<keyof Changes>)
    .filter((key) => changes[key] !== config[key])
    .map((key) => `${key} from ${config[key]} to ${changes[key]}`)

/** The same, but fails with TRP0417 or TRP0617, and logs nothing. */
export const change = (found: StreamInfo, changes: Changes): Effect.Effect<StreamInfo, NatsError, Nats> =>
  Effect.gen(function* () {
    const { api } = yield* Nats
    const { config, state } = found
    const { name } = config
    const says = changed(found, changes).join(", ")
    if (says === "") return found
    const { max_bytes: bytes } = changes
    if (bytes !== undefined && bytes > 0 && bytes < state.bytes)
      return yield* failure("TRP0417", name, `${says}: it holds ${state.bytes} bytes`)
    return yield* Effect.tryPromise({
      try: async () => {
        const { jsm } = await api(name)
        return await jsm.streams.update(name, { ...config, ...changes })
      },
      catch: (cause) =>
        tooFew({ ...config, ...changes }, cause) ?? failure("TRP0417", name, `${says}: ${describe(cause)}`)
    })
  })

const add = (config: Partial<StreamConfig> & { readonly name: string }): Effect.Effect<StreamInfo, NatsError, Nats> =>
  Effect.flatMap(Nats, ({ jsm }) =>
    Effect.tryPromise({
      try: () => jsm.streams.add(config),
      catch: (cause) => tooFew(config, cause) ?? refused(config.name, cause)
    })
  )

/** Names a refusal that only more servers mend: 10074 of a single server, 10005 of a cluster that has too few. */
const tooFew = (
  { name, num_replicas: replicas }: Pick<StreamConfig, "name"> & Partial<Pick<StreamConfig, "num_replicas">>,
  cause: unknown
): NatsError | undefined =>
  cause instanceof JetStreamApiError && (cause.code === 10_074 || cause.code === 10_005)
    ? failure("TRP0617", name, `${replicas} replicas need a cluster of ${replicas} servers: ${describe(cause)}`)
    : undefined

/** What a server says of a stream. */
export type Info = StreamInfo

/** The streams of all services that this account may list, by name. */
export const all: Effect.Effect<ReadonlyArray<Info>, NatsError, Nats> = Effect.flatMap(Nats, ({ jsm }) =>
  Effect.tryPromise({
    try: async () => {
      const found: Array<StreamInfo> = []
      for await (const info of jsm.streams.list()) if (isOurs(info.config)) found.push(info)
      return found.sort((a, b) => (a.config.name < b.config.name ? -1 : 1))
    },
    catch: (cause) => refused("$JS.API.STREAM.LIST", cause)
  })
)

const isOurs = ({ name, subjects = [] }: StreamConfig): boolean =>
  (["cmd", "evt"] as const).some(
    (kind) => name.startsWith(`${kind.toUpperCase()}_`) && subjects.join() === Subject.accepted(kind, name.slice(4))
  ) ||
  (name.startsWith("PLACE_") && subjects.join() === Subject.place(name.slice(6), "*", "*"))

/** What is wrong with limits, for a person. */
export const mistake = ({
  commandsKept,
  duplicateWindow,
  eventsKept,
  maxBytes,
  replicas
}: Limits): string | undefined => {
  const window = Duration.toMillis(duplicateWindow)
  if (!(window >= 100 && window < outboxKept))
    return `a duplicate window of ${window} ms is not between 100 ms and the hour for which an outbox is kept`
  if (!(Duration.toMillis(eventsKept) >= window)) return "events are kept for less than the duplicate window"
  if (!(Duration.toMillis(commandsKept) >= 0)) return "commandsKept is no time"
  if (!(Number.isSafeInteger(maxBytes) && maxBytes > 0)) return `maxBytes is ${maxBytes}`
  // An even number survives no more servers than the odd one below it.
  return [1, 3, 5].includes(replicas) ? undefined : `${replicas} replicas: not 1, 3 or 5`
}
/** What the relay publishes again within this time must be dropped by its id, ms: see the pruner of the outbox. */
const outboxKept = 3_600_000

/** The stream, or `undefined` when there is none. */
export const find = (name: string): Effect.Effect<StreamInfo | undefined, NatsError, Nats> =>
  Effect.flatMap(Nats, ({ api }) =>
    Effect.tryPromise({
      try: async () => {
        const { jsm } = await api(name)
        return await jsm.streams.info(name).catch((cause: unknown) => {
          if (typeof cause === "object" && cause !== null && "code" in cause && cause.code === 10059) return undefined
          throw cause
        })
      },
      catch: (cause) => refused(name, cause)
    })
  )

/** The partition count that a stream's transform says, or `undefined` when it is none of ours. */
export const partitionsOf = (config: StreamConfig): number | undefined => {
  const count = Number(/\{\{partition\((\d+),3\)\}\}/.exec(config.subject_transform?.dest ?? "")?.[1])
  return Number.isInteger(count) ? count : undefined
}

/** What makes a stream unfit, for a person; empty when it is fit. */
export const differences = (
  config: StreamConfig,
  kind: Subject.Kind,
  service: string,
  partitions: number
): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const expect = (what: string, is: unknown, wanted: unknown): void => {
    if (is !== wanted) wrong.push(`${what} is ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`)
  }
  // A mirror has none, whatever the type says.
  if (config.mirror !== undefined) wrong.push(`it is a mirror of ${config.mirror.name}`)
  expect("subjects", (config.subjects ?? []).join(), Subject.accepted(kind, service))
  expect("subject_transform", config.subject_transform?.dest, Subject.transformed(kind, service, partitions))
  expect("storage", config.storage, "file")
  expect("retention", config.retention, "limits")
  // Either loses messages that nobody has read: a key's older ones, or what was never stored.
  expect("max_msgs_per_subject", config.max_msgs_per_subject > 0 ? config.max_msgs_per_subject : -1, -1)
  expect("no_ack", config.no_ack ?? false, false)
  if (kind === "cmd") {
    expect("discard", config.discard, "new")
    expect("max_age", config.max_age, 0)
  }
  return wrong
}

const nanos = (duration: Duration.Input): number => Duration.toMillis(duration) * 1_000_000
