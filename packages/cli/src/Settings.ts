import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { type Failure, failure } from "./Failure.ts"

/** What a person sets, by flag or by environment. A flag wins. */
export type Name = "NATS_URL" | "DATABASE_URL"

export type Environment = { readonly [name: string]: string | undefined }

const schemes = {
  NATS_URL: /^(nats|tls|ws|wss):\/\/[^/\s]+/,
  DATABASE_URL: /^postgres(ql)?:\/\//
} as const
const examples = {
  NATS_URL: "nats://127.0.0.1:4222",
  DATABASE_URL: "postgres://user:password@127.0.0.1:5432/database"
} as const

/** The name of the flag of a setting: `NATS_URL` is `--nats-url`. */
const flagOf = (name: Name): string => `--${name.toLowerCase().replaceAll("_", "-")}`

/** The setting, none when it is set nowhere. Empty is not set. Fails with TRP0101 when it is no url of its kind. */
export const optional = (
  name: Name,
  flag: Option.Option<Redacted.Redacted>,
  environment: Environment = process.env
): Effect.Effect<Option.Option<Redacted.Redacted>, Failure> => {
  const given = Option.filter(flag, (value) => Redacted.value(value) !== "")
  const fromFlag = Option.isSome(given)
  const found = fromFlag ? Redacted.value(given.value) : (environment[name] ?? "")
  if (found === "") return Effect.succeedNone
  const wrong = mistake(name, found)
  return wrong === undefined
    ? Effect.succeedSome(Redacted.make(found))
    : Effect.fail(failure("TRP0101", fromFlag ? flagOf(name) : name, wrong))
}

/** As `optional`, but fails with TRP0101 when it is set nowhere. */
export const required = (
  name: Name,
  flag: Option.Option<Redacted.Redacted>,
  environment: Environment = process.env
): Effect.Effect<Redacted.Redacted, Failure> =>
  Effect.flatMap(
    optional(name, flag, environment),
    Option.match({
      onSome: Effect.succeed,
      onNone: () =>
        failure("TRP0101", name, `neither ${flagOf(name)} nor ${name} is set, for example ${examples[name]}`)
    })
  )

/** The creds file of NATS, by flag or by NATS_CREDS; `undefined` when neither is set. */
export const natsCreds = (flag: Option.Option<string>, environment: Environment = process.env): string | undefined =>
  Option.getOrElse(flag, () => environment["NATS_CREDS"] ?? "") || undefined

const mistake = (name: Name, url: string): string | undefined => {
  if (name === "NATS_URL") {
    // nats.js takes a bare host:port and a list of servers as well.
    const wrong = url.split(",").some((one) => one.includes("://") && !schemes.NATS_URL.test(one.trim()))
    return wrong ? `it is no nats:// url, for example ${examples.NATS_URL}` : undefined
  }
  return schemes.DATABASE_URL.test(url) && URL.canParse(url)
    ? undefined
    : `it is no postgres:// url, for example ${examples.DATABASE_URL}`
}

/** A url as it may be shown: without password or token, options and all but the last of several servers. */
export const redacted = (url: Redacted.Redacted): string =>
  Redacted.value(url)
    .replace(/\?.*$/s, "")
    .replace(/^([a-z]+:\/\/)?(.*)@/s, (_, scheme: string = "", user: string) => `${scheme}${shown(user)}`)

/** Of `user:password` the user. A user alone is a token with NATS, so it is not shown either. */
const shown = (user: string): string => (user.includes(":") ? `${user.slice(0, user.indexOf(":"))}@` : "")
