import * as Effect from "effect/Effect"
import type { BenchError } from "../BenchError.ts"
import * as Child from "../Child.ts"
import type { Servers } from "../Servers.ts"

/** What lies below: how fast the parts are when each has the machine for itself. */
export interface Limits {
  /** Rows of as many calls, folded into one statement, per second: state, inbox and outbox. */
  readonly foldedUpserts: number
  /** Messages per second into one stream of the same shape, by the fastest mode. */
  readonly rawPublish: number
}

const figure = (file: string, settings: object): Effect.Effect<number, BenchError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const child = yield* Child.node(new URL(file, import.meta.url), settings)
      const [, rate] = yield* child.said(/^rate (\d+)$/)
      return Number(rate)
    })
  )

let databases = 0

export const measure = (servers: Servers, callers: number): Effect.Effect<Limits, BenchError> =>
  Effect.gen(function* () {
    const databaseUrl = yield* servers.database(`limits_${++databases}`)
    const foldedUpserts = yield* figure("./foldedUpserts.ts", { databaseUrl, callers, keys: 1_000, seconds: 3 })
    const published = yield* Effect.forEach(modes, (mode) => publish(servers, mode, 100_000))
    return { foldedUpserts, rawPublish: Math.max(...published) }
  })

/** Ways of publishing many messages in order. */
export const modes = ["fastIngest", "atomicBatch"] as const
export type Mode = (typeof modes)[number]

/** Publishes so many of the counter's events by a process that does nothing else; messages per second. */
export const publish = (servers: Servers, mode: Mode, messages: number): Effect.Effect<number, BenchError> =>
  figure("./rawPublish.ts", { natsUrl: servers.natsUrl, mode, messages })
