import * as Print from "../Print.ts"
import { join } from "node:path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { failure, reason } from "../Failure.ts"
import * as Keys from "./keys.ts"

export interface Options {
  readonly name: string
  readonly keys: string
  readonly json: boolean
}

/** Notes that all users of an account who were made until now are to be refused; done when that second is over. */
export const revoke = ({ json, keys, name }: Options) =>
  Effect.gen(function* () {
    yield* Keys.issuer(keys, name, "program")
    const now = yield* Clock.currentTimeMillis
    const revoked = Math.floor(now / 1_000)
    const file = join(keys, name, "revoked")
    yield* Effect.tryPromise({
      try: () => Keys.replace(file, String(revoked)),
      catch: (cause) => failure("TRP0026", file, reason(cause))
    })
    // JWTs say when they were made in whole seconds: one of this second would be refused too.
    yield* Effect.sleep((revoked + 1) * 1_000 - now)
    yield* Print.out(
      json
        ? JSON.stringify({ account: name, revoked })
        : `${name}: write the configuration anew (troupe permissions --format jwt --keys ${keys}) and let nats-server reload it`
    )
  })
