import { Topology } from "@troupe/nats"
import type { HostOptions } from "@troupe/service"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Failure, failure } from "../Failure.ts"
import type { Environment } from "../Settings.ts"

/** Limits of a service's streams and of its dead letters, as flags give them. */
export interface Flags {
  readonly streamMaxBytes: Option.Option<string>
  readonly commandsKept: Option.Option<string>
  readonly eventsKept: Option.Option<string>
  readonly replicas: Option.Option<string>
  readonly duplicateWindow: Option.Option<string>
  readonly deadLetters: Option.Option<string>
  readonly deadLettersMaxBytes: Option.Option<string>
}

const variables = {
  streamMaxBytes: "TROUPE_STREAM_MAX_BYTES",
  commandsKept: "TROUPE_COMMANDS_KEPT",
  eventsKept: "TROUPE_EVENTS_KEPT",
  replicas: "TROUPE_REPLICAS",
  duplicateWindow: "TROUPE_DUPLICATE_WINDOW",
  deadLetters: "TROUPE_DEAD_LETTERS",
  deadLettersMaxBytes: "TROUPE_DEAD_LETTERS_MAX_BYTES"
} as const satisfies { readonly [flag in keyof Flags]: string }

/** Where no flag is given. */
export const unset: Flags = {
  streamMaxBytes: Option.none(),
  commandsKept: Option.none(),
  eventsKept: Option.none(),
  replicas: Option.none(),
  duplicateWindow: Option.none(),
  deadLetters: Option.none(),
  deadLettersMaxBytes: Option.none()
}

/** Reads a limit, by flag or by environment; a flag wins. */
const reading =
  (flags: Flags, environment: Environment) =>
  <A>(
    name: keyof Flags,
    parse: (text: string) => A | undefined,
    example: string
  ): Effect.Effect<A | undefined, Failure> =>
    Effect.suspend(() => {
      const flag = Option.getOrElse(flags[name], () => "")
      const text = flag || (environment[variables[name]] ?? "")
      const value = text === "" ? undefined : parse(text)
      const from = flag === "" ? variables[name] : flagOf(name)
      return text !== "" && value === undefined
        ? failure("TRP0101", from, `${JSON.stringify(text)} is not like ${example}`)
        : Effect.succeed(value)
    })

/** The limits of dead letters that are set. Fails with TRP0101 for what is no limit. */
export const ofDeadLetters = (
  flags: Flags = unset,
  environment: Environment = process.env
): Effect.Effect<NonNullable<HostOptions["deadLetters"]>, Failure> =>
  Effect.gen(function* () {
    const read = reading(flags, environment)
    const messages = yield* read("deadLetters", whole, "10000")
    const size = yield* read("deadLettersMaxBytes", bytes, "256MiB or 1GB")
    return defined({ messages, bytes: size })
  })

/** The limits of streams that are set, by flag or by environment; a flag wins. Fails with TRP0101 for what is no limit. */
export const of = (
  flags: Flags = unset,
  environment: Environment = process.env
): Effect.Effect<Partial<Topology.Limits>, Failure> =>
  Effect.gen(function* () {
    const read = reading(flags, environment)
    const maxBytes = yield* read("streamMaxBytes", bytes, "2GiB or 500MB")
    const commandsKept = yield* read("commandsKept", duration, "24h or 90m")
    const eventsKept = yield* read("eventsKept", duration, "30d or 12h")
    const replicas = yield* read("replicas", copies, "1, 3 or 5")
    const duplicateWindow = yield* read("duplicateWindow", duration, "2m or 90s")
    const set = defined({ maxBytes, commandsKept, eventsKept, replicas, duplicateWindow })
    const wrong = Topology.mistake({ ...Topology.limits, ...set })
    return wrong === undefined ? set : yield* failure("TRP0101", "the limits of the streams", wrong)
  })

/** The variables that hand the flags on to a process. */
export const toEnvironment = (flags: Flags): Environment =>
  Object.fromEntries(
    Object.entries(variables).flatMap(([name, variable]) =>
      Option.match(flags[name as keyof Flags], { onSome: (value) => [[variable, value]], onNone: () => [] })
    )
  )

const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

const defined = <A extends object>(all: A): { [K in keyof A]?: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as never

const units: { readonly [unit: string]: number } = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40
}

/** `2GiB`, `500 MB` or `1048576`. */
export const bytes = (text: string): number | undefined => {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? []
  const factor = units[unit.toLowerCase()]
  const value = Math.round(Number(number) * (factor ?? 0))
  return value >= 1 && Number.isSafeInteger(value) ? value : undefined
}

const shorts: { readonly [unit: string]: number } = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 }

/** `24h`, `7d`, `90 seconds`. */
export const duration = (text: string): Duration.Duration | undefined => {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text.trim()) ?? []
  const length = shorts[unit]
  if (length !== undefined) return Duration.millis(Number(number) * length)
  return /^\d+(\.\d+)? [a-z]+$/.test(text.trim())
    ? Option.getOrUndefined(Duration.fromInput(text.trim() as Duration.Input))
    : undefined
}

const whole = (text: string): number | undefined => (/^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined)

/** An even number survives no more servers than the odd one below it; nats-server keeps five at most. */
export const copies = (text: string): number | undefined => (/^[135]$/.test(text) ? Number(text) : undefined)
