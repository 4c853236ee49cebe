import { randomBytes } from "node:crypto"
import { existsSync, globSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { Caller, nats, Policy, variableOf } from "@troupe/permissions"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type Failure, failure, reason } from "../Failure.ts"
import { defaultExport, type Loaded, shown } from "../service/index.ts"

/** Who may do what on a nats-server that dev starts: the same as in production. */
export interface Users {
  /** For the server. Whoever says no name may do everything, as on a server without users. */
  readonly config: string
  /** The server's url with the user of that name; without one where there is none. */
  readonly login: (url: Redacted.Redacted, name: string | undefined) => Redacted.Redacted
}

/**
 * Compiles what these services declare, the callers below the working directory, and the one beside the program that is to
 * run. TRP0102 when they cannot be.
 */
export const make = (loaded: ReadonlyArray<Loaded>, program: string | undefined): Effect.Effect<Users, Failure> =>
  Effect.gen(function* () {
    const services = yield* Effect.forEach(loaded, ({ file, service }) =>
      compile(file, () => Policy.ofService(service))
    )
    const files = globSync("services/*/src/caller.ts").map((file) => resolve(file))
    const callers = yield* Effect.forEach([...new Set([...files, ...beside(program)])].sort(), callerOf)
    const policies = [...services, ...callers]
    const passwords = new Map(policies.map(({ name }) => [name, randomBytes(24).toString("hex")]))
    return {
      config: [
        "no_auth_user: OPERATOR",
        `NATS_PASSWORD: "${randomBytes(24).toString("hex")}"`,
        ...[...passwords].map(([name, password]) => `${variableOf(name)}: "${password}"`),
        nats(policies)
      ].join("\n"),
      login: (url, name) => {
        const password = passwords.get(name ?? "")
        if (password === undefined) return url
        return Redacted.make(Redacted.value(url).replace("://", `://${name}:${password}@`))
      }
    }
  })

/** The name of the caller that a program is: what `caller.ts` beside it declares. */
export const callerBeside = (program: string): Effect.Effect<string | undefined, Failure> =>
  Effect.map(Effect.forEach(beside(program), callerOf), ([policy]) => policy?.name)

const beside = (program: string | undefined): ReadonlyArray<string> => {
  const file = join(dirname(resolve(program ?? "")), "caller.ts")
  return program !== undefined && existsSync(file) ? [file] : []
}

const callerOf = (file: string): Effect.Effect<Policy.Policy, Failure> =>
  Effect.flatMap(defaultExport(file), (declared) =>
    compile(file, () => {
      if (!Caller.is(declared)) throw new TypeError("its default export is no caller")
      return Policy.ofCaller(declared)
    })
  )

const compile = (file: string, policy: () => Policy.Policy): Effect.Effect<Policy.Policy, Failure> =>
  Effect.try({ try: policy, catch: (cause) => failure("TRP0102", shown(file), reason(cause)) })
