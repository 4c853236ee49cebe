import * as OwnFile from "../OwnFile.ts"
import * as Print from "../Print.ts"
import { Text } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Accounts, jwt, type Policy } from "@troupe/permissions"
import { Ended, type Failure, failure, reason } from "../Failure.ts"
import { diff } from "./diff.ts"
import * as Files from "./files.ts"
import * as Keys from "./keys.ts"
import * as secrets from "./secrets.ts"
import { policies } from "./policies.ts"

export interface Options {
  readonly files: ReadonlyArray<string>
  readonly format: Option.Option<Files.Format>
  /** For the format `jwt`: signed, with the keys of this folder. */
  readonly keys: Option.Option<string>
  /** The same with the keys of `secrets.keys`. */
  readonly signed: boolean
  readonly check: boolean
  readonly write: boolean
  readonly json: boolean
}

/** Prints the policy, writes it, or compares it with what is committed: exit code 1 when that differs. */
export const permissions = (options: Options) =>
  Effect.gen(function* () {
    const { check, format, json, write } = options
    const keys = options.signed ? Option.orElse(options.keys, () => Option.some(secrets.keys())) : options.keys
    if ([check, write, format._tag === "Some"].filter(Boolean).length !== 1)
      return yield* failure("TRP0602", "troupe permissions", "it takes one of --format, --check and --write")
    if (keys._tag === "Some" && !(format._tag === "Some" && format.value === "jwt"))
      return yield* failure("TRP0602", "--keys, --signed", "they go with --format jwt")
    const found = yield* policies(options.files)
    if (keys._tag === "Some") {
      const text = yield* signed(found, keys.value)
      if (options.keys._tag === "None") Print.err(`signed with the keys in ${Text.line(keys.value)}`)
      return yield* Print.out(json ? JSON.stringify({ policies: found, text }) : text.trimEnd())
    }
    if (format._tag === "Some") {
      const text = [...(yield* declared(() => Files.rendered(format.value, found))).values()].join("\n")
      return yield* Print.out(json ? JSON.stringify({ policies: found, text }) : text.trimEnd())
    }
    const wanted = yield* declared(() => Files.all(found))
    if (write) {
      yield* Effect.tryPromise({
        // Files that are named may be some of the services.
        try: () => Files.write(wanted, options.files.length === 0),
        catch: (cause) => OwnFile.failed(cause, (cause) => failure("TRP0026", Files.folder, reason(cause)))
      })
      return yield* Print.out(json ? JSON.stringify({ written: [...wanted.keys()] }) : `wrote ${Files.folder}`)
    }
    const changes = diff(yield* Effect.promise(() => Files.committed(wanted)), wanted)
    if (json) yield* Print.out(JSON.stringify({ ok: changes.length === 0, changes }))
    if (changes.length === 0) return json ? undefined : yield* Print.out(`${Files.folder} is what the code declares`)
    if (json) return yield* new Ended({ code: 1 })
    yield* Print.out(changes.map(Text.line).join("\n"))
    return yield* failure("TRP0606", Files.folder, `${changes.length} lines of the diff above`)
  })

/** The configuration of a nats-server in operator mode, signed with the keys of the folder. */
const signed = (policies: ReadonlyArray<Policy.Policy>, folder: string) =>
  Effect.gen(function* () {
    const accounts = yield* declared(() => Accounts.make(policies))
    const keys = yield* Keys.ensure(
      folder,
      accounts.map(({ name }) => name)
    )
    return yield* Effect.tryPromise({
      try: () => jwt(accounts, keys),
      catch: (cause) => failure("TRP0607", folder, reason(cause))
    })
  })

/** Some of the services may have been named without those that they need. */
const declared = <A>(compile: () => A): Effect.Effect<A, Failure> =>
  Effect.try({ try: compile, catch: (cause) => failure("TRP0602", "troupe permissions", reason(cause)) })
