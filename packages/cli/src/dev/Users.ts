import { randomBytes } from "node:crypto"
import { existsSync, globSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { nats, variableOf } from "@troupe/permissions"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Failure } from "../Failure.ts"
import { compile, policyOf } from "../permissions/policies.ts"
import type { Programs } from "../service/index.ts"

/** Who may do what on a nats-server that dev starts: the same as in production. */
export interface Users {
  /** For the server. Whoever says no name may do everything, as on a server without users. */
  readonly config: string
  /** The server's url with the user of that name; without one where there is none. */
  readonly login: (url: Redacted.Redacted, name: string | undefined) => Redacted.Redacted
}

/**
 * Compiles what these services and gateways declare, the callers below the working directory, and the one beside the program that is to
 * run. TRP0102 when they cannot be.
 */
export const make = ({ gateways, services }: Programs, program: string | undefined): Effect.Effect<Users, Failure> =>
  Effect.gen(function* () {
    const own = yield* Effect.forEach([...services, ...gateways], (one) =>
      policyOf(one.file, "service" in one ? one.service : one.gateway)
    )
    const files = globSync("services/*/src/caller.ts").map((file) => resolve(file))
    const callers = yield* Effect.forEach([...new Set([...files, ...beside(program)])].sort(), compile)
    const policies = [...own, ...callers]
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
  Effect.map(Effect.forEach(beside(program), compile), ([policy]) => policy?.name)

const beside = (program: string | undefined): ReadonlyArray<string> => {
  const file = join(dirname(resolve(program ?? "")), "caller.ts")
  return program !== undefined && existsSync(file) ? [file] : []
}
