import * as Print from "../Print.ts"
import { join } from "node:path"
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
  readonly json: boolean
}

/** Notes that all users of an account who were made until now are to be refused; done when that second is over. */
export const revoke = ({ json, keys, name }: Options) =>
  Effect.gen(function* () {
    const folder = Option.getOrElse(keys, secrets.keys)
    yield* Keys.issuer(folder, name, "program")
    const now = yield* Clock.currentTimeMillis
    const revoked = Math.floor(now / 1_000)
    const file = join(folder, name, "revoked")
    yield* Effect.tryPromise({
      try: async () => {
        await OwnFile.text(file, (text) => /^[0-9]*\s*$/.test(text))
        await OwnFile.replace(file, String(revoked), 0o600)
      },
      catch: (cause) => OwnFile.failed(cause, (cause) => failure("TRP0026", file, reason(cause)))
    })
    // JWTs say when they were made in whole seconds: one of this second would be refused too.
    yield* Effect.sleep((revoked + 1) * 1_000 - now)
    yield* Print.out(
      json
        ? JSON.stringify({ account: name, revoked })
        : `${name}: write the configuration anew (troupe permissions --format jwt --keys ${folder}) and let nats-server reload it`
    )
  })
