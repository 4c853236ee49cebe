import * as Print from "../Print.ts"
import { Credentials } from "@troupe/permissions"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { failure, reason } from "../Failure.ts"
import * as OwnFile from "../OwnFile.ts"
import * as Keys from "./keys.ts"
import * as secrets from "./secrets.ts"

export interface Options {
  readonly name: string
  /** Default: `secrets.keys`. */
  readonly keys: Option.Option<string>
  readonly ttl: string
  readonly operator: boolean
  /** A file, or `-` for stdout. Default: `secrets.creds`. */
  readonly out: Option.Option<string>
  readonly json: boolean
}

/** Issues a user of an account, and writes its creds file, or prints it. */
export const token = ({ json, keys, name, operator, out, ttl }: Options) =>
  Effect.gen(function* () {
    const seconds = secondsOf(ttl)
    if (seconds === undefined)
      return yield* failure("TRP0602", `--ttl ${ttl}`, "it is none of 90s, 15m, 1h and the like, up to 720h")
    const { key, signer } = yield* Keys.issuer(
      Option.getOrElse(keys, secrets.keys),
      name,
      operator ? "operator" : "program"
    )
    const expires = Math.floor((yield* Clock.currentTimeMillis) / 1_000) + seconds
    const creds = yield* Effect.tryPromise({
      try: () => Credentials.make({ account: name, key, signer, expires }),
      catch: (cause) => failure("TRP0607", name, reason(cause))
    })
    if (Option.contains(out, "-")) return yield* Print.out(json ? JSON.stringify({ creds, expires }) : creds.trimEnd())
    const file = Option.getOrElse(out, () => secrets.creds(name, operator))
    yield* Effect.tryPromise({
      try: async () => {
        if (Option.isNone(out)) await secrets.folderOf(file)
        await OwnFile.text(file, Credentials.isCreds)
        await OwnFile.replace(file, creds, 0o600)
      },
      catch: (cause) => OwnFile.failed(cause, (cause) => failure("TRP0026", file, reason(cause)))
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
