import * as Print from "../Print.ts"
import { Credentials } from "@troupe/permissions"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import { failure, reason } from "../Failure.ts"
import * as Keys from "./keys.ts"

export interface Options {
  readonly name: string
  readonly keys: string
  readonly ttl: string
  readonly operator: boolean
  readonly out: Option.Option<string>
  readonly json: boolean
}

/** Issues a user of an account, and prints its creds file, or writes it. */
export const token = ({ json, keys, name, operator, out, ttl }: Options) =>
  Effect.gen(function* () {
    const seconds = secondsOf(ttl)
    if (seconds === undefined)
      return yield* failure("TRP0602", `--ttl ${ttl}`, "it is none of 90s, 15m, 1h and the like, up to 720h")
    const { key, signer } = yield* Keys.issuer(keys, name, operator ? "operator" : "program")
    const expires = Math.floor((yield* Clock.currentTimeMillis) / 1_000) + seconds
    const creds = yield* Effect.tryPromise({
      try: () => Credentials.make({ account: name, key, signer, expires }),
      catch: (cause) => failure("TRP0607", name, reason(cause))
    })
    if (out._tag === "None") return yield* Print.out(json ? JSON.stringify({ creds, expires }) : creds.trimEnd())
    const file = out.value
    yield* Effect.tryPromise({
      try: () => Keys.replace(file, creds),
      catch: (cause) => failure("TRP0026", file, reason(cause))
    })
    const until = new Date(expires * 1_000).toISOString()
    yield* Print.out(json ? JSON.stringify({ file, expires }) : `wrote ${file}: ${name} until ${until}`)
  })

const units = { s: 1, m: 60, h: 3_600 } as const

const secondsOf = (ttl: string): number | undefined => {
  const [, count, unit] = /^(\d+)([smh])$/.exec(ttl) ?? []
  const seconds = Number(count) * units[(unit ?? "s") as keyof typeof units]
  return seconds >= 1 && seconds <= 720 * units.h ? seconds : undefined
}
