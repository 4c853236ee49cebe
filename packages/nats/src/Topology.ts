import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig, type StreamInfo } from "@nats-io/jetstream"
import { Subject } from "@troupe/contract"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { describe, failure, Nats, type NatsError } from "./Nats.ts"

/** How a service's own two streams are made. What exists keeps its limits; its shape must be this one. */
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

/** Creates the stream of a service, with `metadata`, or checks the one that is there. */
export const ensure = (
  kind: Subject.Kind,
  service: string,
  limits: Limits,
  metadata: Readonly<Record<string, string>> = {}
): Effect.Effect<StreamInfo, NatsError, Nats> =>
  Effect.gen(function* () {
    const { capabilities } = yield* Nats
    const name = Subject.stream(kind, service)
    const found = yield* find(name)
    if (found !== undefined) {
      const wrong = differences(found.config, kind, service, limits.partitions)
      if (wrong.length > 0) return yield* failure("TRP0403", name, wrong.join("; "))
      return found
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
      max_bytes: limits.maxBytes,
      max_age: kind === "evt" ? nanos(limits.eventsKept) : 0,
      duplicate_window: nanos(limits.duplicateWindow),
      max_consumers: 10_000,
      num_replicas: limits.replicas,
      metadata: { ...metadata },
      ...(capabilities.atomicBatch ? { allow_atomic: true } : {}),
      ...(capabilities.fastIngest ? { allow_batched: true } : {})
    } as Partial<StreamConfig> & { readonly name: string }
    // Another host, or another environment, may have made it meanwhile.
    return yield* Effect.catch(add(config), (error) =>
      Effect.flatMap(find(name), (made) =>
        made === undefined ? Effect.fail(error) : ensure(kind, service, limits, metadata)
      )
    )
  })

/** What places may take together, bytes: about 50,000 of them. */
const placesBytes = 16 * 1024 ** 2

/** Creates the stream of the places up to which durable subscriptions have read a service's events, or checks the one that is there. */
export const ensurePlaces = (service: string, replicas: number): Effect.Effect<StreamInfo, NatsError, Nats> =>
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
    return wrong.length > 0 ? yield* failure("TRP0403", name, wrong.join("; ")) : found
  })

const add = (config: Partial<StreamConfig> & { readonly name: string }): Effect.Effect<StreamInfo, NatsError, Nats> =>
  Effect.flatMap(Nats, ({ jsm }) =>
    Effect.tryPromise({
      try: () => jsm.streams.add(config),
      catch: (cause) => failure("TRP0404", config.name, describe(cause), cause)
    })
  )

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
      catch: (cause) => failure("TRP0404", name, describe(cause), cause)
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
  if (kind === "cmd") {
    expect("discard", config.discard, "new")
    expect("max_age", config.max_age, 0)
  }
  return wrong
}

const nanos = (duration: Duration.Input): number => Duration.toMillis(duration) * 1_000_000
