import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Failure, failure } from "../Failure.ts"
import type { Environment } from "../Settings.ts"

/** Where health endpoints listen when nothing else is said: loopback, so that nobody else can ask. */
export const defaults = { host: "127.0.0.1", port: 4100 } as const

/** Flag, else environment, else default. Fails with TRP0101 when the port is none. */
export const of = (
  flags: { readonly httpHost?: Option.Option<string>; readonly httpPort: Option.Option<number> },
  environment: Environment = process.env
): Effect.Effect<{ readonly host: string; readonly port: number }, Failure> => {
  const variable = environment["TROUPE_HTTP_PORT"] ?? ""
  const from = Option.isSome(flags.httpPort) ? "--http-port" : "TROUPE_HTTP_PORT"
  const text = Option.match(flags.httpPort, { onSome: String, onNone: () => variable })
  const port = text === "" ? defaults.port : Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    return Effect.fail(failure("TRP0101", from, `${JSON.stringify(text)} is no port: 0 to 65535`))
  }
  const host = Option.filter(flags.httpHost ?? Option.none(), (value) => value !== "")
  return Effect.succeed({ host: Option.getOrElse(host, () => environment["TROUPE_HTTP_HOST"] || defaults.host), port })
}
