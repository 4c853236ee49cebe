import type { ConsumerInfo, StreamConfig, StreamInfo } from "@nats-io/jetstream"
import { Text } from "@troupe/contract"
import * as Effect from "effect/Effect"
import { describe, failure, Nats, type NatsError } from "./Nats.ts"

/** How long the server keeps a consumer that nobody uses, ns: 5 minutes. Readers ask for it, and streams allow no more. */
export const idle = 300_000_000_000

/** The most consumers that a stream of a service has. The server's default is 1,000, and `-1` does not lift it. */
export const most = 10_000

/** Limits of a stream that hold for every consumer, whoever makes it. */
export const limits = { inactive_threshold: idle }

/**
 * Whether the server deletes every consumer of a stream that has not been used for a while, durable ones too: it gives that
 * time to those that ask for none, and refuses those that ask for more. Consumers that were made before keep what they have. An
 * operator may allow more than `idle`; a stream that allows less would refuse Troupe's own readers.
 */
export const isBounded = ({ consumer_limits }: Pick<StreamConfig, "consumer_limits">): boolean =>
  (consumer_limits?.inactive_threshold ?? 0) >= idle

/** Bounds how long the stream keeps idle consumers; fails with TRP0422 where it cannot be changed. */
export const bound = (found: StreamInfo): Effect.Effect<StreamInfo, NatsError, Nats> =>
  Effect.gen(function* () {
    const { api } = yield* Nats
    const { config } = found
    if (isBounded(config)) return found
    return yield* Effect.tryPromise({
      try: async () => {
        const { jsm } = await api(config.name)
        const consumer_limits = { ...config.consumer_limits, ...limits }
        return await jsm.streams.update(config.name, { ...config, consumer_limits })
      },
      catch: (cause) => failure("TRP0422", config.name, describe(cause), cause)
    })
  })

/** Why a consumer is none that Troupe makes: its readers are not durable, acknowledge nothing, are pulled, and are forgotten. */
export const foreign = ({ config }: Pick<ConsumerInfo, "config">): string | undefined => {
  if (config.durable_name) return "it is durable"
  if (config.deliver_subject) return "it pushes"
  if (config.ack_policy !== "none") return "it acknowledges"
  const threshold = config.inactive_threshold ?? 0
  return threshold === 0 || threshold > idle ? "it is kept when idle" : undefined
}

/** The consumers of a stream. */
export interface Seen {
  readonly count: number
  /** Those that Troupe did not make. */
  readonly foreign: number
  /** Three of them at most, each with the reason. */
  readonly examples: ReadonlyArray<string>
}

/** Looks at all consumers of a stream of the own account, 256 at a time. */
export const look = (stream: string): Effect.Effect<Seen, NatsError, Nats> =>
  Effect.flatMap(Nats, ({ jsm }) =>
    Effect.tryPromise({
      try: async () => {
        const examples: Array<string> = []
        let count = 0
        let others = 0
        for await (const info of jsm.consumers.list(stream)) {
          count++
          const why = foreign(info)
          if (why !== undefined && ++others <= 3) examples.push(`${Text.line(info.name.slice(0, 64))} (${why})`)
        }
        return { count, foreign: others, examples }
      },
      catch: (cause) => failure("TRP0404", stream, describe(cause), cause)
    })
  )

/** Consumers of other origin, for a person. */
export const says = ({ examples, foreign }: Seen): string =>
  `${foreign} ${foreign === 1 ? "consumer" : "consumers"}: ${examples.join(", ")}${foreign > examples.length ? ", ..." : ""}`

/** From this part of its consumers on a stream has room for few more. */
const nearlyAll = 0.8

/** How many consumers a stream has, for a person, when there is room for few more. */
export const scarce = ({ config, state }: StreamInfo): string | undefined => {
  const { max_consumers: limit } = config
  return limit > 0 && state.consumer_count >= nearlyAll * limit
    ? `${state.consumer_count} of ${limit} consumers`
    : undefined
}
