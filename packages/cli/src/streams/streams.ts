import * as Print from "../Print.ts"
import { Text } from "@troupe/contract"
import { Consumers, Nats, Topology } from "@troupe/nats"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { Ended, failure } from "../Failure.ts"
import * as limits from "../run/limits.ts"
import * as Settings from "../Settings.ts"
import { outlook, pace, shown, size, whenFull } from "./outlook.ts"

/** Whose streams, and where. */
export interface Options {
  readonly service: Option.Option<string>
  readonly natsUrl: Option.Option<Redacted.Redacted>
  readonly natsCreds: Option.Option<string>
  readonly json: boolean
}

/** Prints the streams of services. */
export const list = (options: Options) =>
  connected(
    options,
    Effect.gen(function* () {
      const { commandsKept = Topology.limits.commandsKept } = yield* limits.of()
      const found = yield* wanted(options.service)
      const now = yield* Clock.currentTimeMillis
      const rows = found.map((info) => row(info, commandsKept, now))
      yield* Print.out(options.json ? JSON.stringify({ streams: rows }) : table(rows))
    })
  )

/**
 * Changes what the flags say, and prints what each stream has then. Without a flag it has streams of older code delete idle
 * consumers, which a host may not be allowed to change.
 */
export const set = (options: Options & Omit<limits.Flags, "commandsKept" | "deadLetters" | "deadLettersMaxBytes">) =>
  connected(
    options,
    Effect.gen(function* () {
      // By flags alone: what the environment says is for services.
      const chosen = yield* limits.of({ ...limits.unset, ...options, commandsKept: Option.none() }, {})
      const results = yield* Effect.forEach(yield* wanted(options.service), (info) => {
        const { name } = info.config
        // No reader of Troupe has a consumer on a stream of places.
        const bounded = name.startsWith("PLACE_") ? Effect.succeed(info) : Consumers.bound(info)
        return bounded.pipe(
          Effect.flatMap((info) => Topology.change(info, Topology.changes(name, chosen))),
          Effect.map((after) => ({ stream: name, ...limitsOf(after), error: null })),
          Effect.catch((error) => Effect.succeed({ stream: name, ...limitsOf(info), error: error.message }))
        )
      })
      yield* Print.out(
        options.json
          ? JSON.stringify({ streams: results })
          : results.map(({ error, ...one }) => error ?? `${Text.line(one.stream)}: ${says(one)}`).join("\n")
      )
      if (results.some(({ error }) => error !== null)) return yield* new Ended({ code: 1 })
    })
  )

const connected = <A, E>(options: Options, use: Effect.Effect<A, E, Nats>) =>
  Effect.gen(function* () {
    const url = yield* Settings.required("NATS_URL", options.natsUrl)
    const creds = Settings.natsCreds(options.natsCreds)
    return yield* Effect.provide(use, Nats.layer({ url, creds, name: "troupe streams" }))
  })

const wanted = (service: Option.Option<string>) =>
  Effect.gen(function* () {
    const all = yield* Topology.all
    const found = all.filter(({ config }) =>
      Option.match(service, { onNone: () => true, onSome: (name) => config.name.replace(/^[A-Z]+_/, "") === name })
    )
    if (found.length > 0) return found
    const to = Option.match(service, { onNone: () => "on this server", onSome: (name) => `of ${name}` })
    return yield* failure("TRP0608", to, "a service creates its streams when it is started first")
  })

const limitsOf = ({ config }: Topology.Info) => ({
  maxBytes: config.max_bytes,
  maxAgeMs: config.max_age / 1e6,
  duplicateWindowMs: config.duplicate_window / 1e6,
  replicas: config.num_replicas
})

const row = (info: Topology.Info, commandsKept: Duration.Input, now: number) => {
  const { config, state } = info
  const age = config.max_age > 0 ? Duration.millis(config.max_age / 1e6) : commandsKept
  const { fullOn, rate, spanMs } = outlook(info, age, now)
  return {
    stream: config.name,
    messages: state.messages,
    bytes: state.bytes,
    bytesPerSecond: rate === undefined ? null : Math.round(rate),
    rateSpanMs: Math.round(spanMs),
    fullOn: config.name.startsWith("PLACE_") ? null : (fullOn ?? null),
    ...limitsOf(info)
  }
}

const says = (one: ReturnType<typeof limitsOf>): string =>
  [
    `max_bytes ${size(one.maxBytes)}`,
    ...(one.maxAgeMs > 0 ? [`max_age ${shown(one.maxAgeMs)}`] : []),
    `duplicate_window ${shown(one.duplicateWindowMs)}`,
    `replicas ${one.replicas}`
  ].join(", ")

const table = (rows: ReadonlyArray<ReturnType<typeof row>>): string =>
  rows
    .map((one) => {
      const { bytes, bytesPerSecond, fullOn, messages, rateSpanMs, stream } = one
      const rate = bytesPerSecond === null || messages === 0 ? "" : `; ${pace(bytesPerSecond, rateSpanMs)}`
      const full = fullOn === null ? "" : `; ${whenFull(stream, fullOn)}`
      return `${Text.line(stream)}: ${messages} messages, ${size(bytes)}${rate}${full}; ${says(one)}`
    })
    .join("\n")
