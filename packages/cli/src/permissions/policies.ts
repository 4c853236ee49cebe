import { globSync } from "node:fs"
import { resolve } from "node:path"
import { Contract } from "@troupe/contract"
import type { Gateway } from "@troupe/gateway"
import { Caller, Policy } from "@troupe/permissions"
import * as Effect from "effect/Effect"
import { type Failure, failure, reason } from "../Failure.ts"
import { defaultExport, Discovery, isGateway, isService, shown } from "../service/index.ts"

/** The policies of the files named, or of all services and callers below the working directory. TRP0104 when there is none. */
export const policies = (named: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Policy.Policy>, Failure> =>
  Effect.gen(function* () {
    const callers = named.length > 0 ? [] : globSync("services/*/src/caller.ts").sort()
    const files = [...(yield* Discovery.files(named)), ...callers.map((file) => resolve(file))]
    if (files.length === 0) return yield* failure("TRP0104", process.cwd(), "it has no services/*/src/main.ts")
    const found = yield* Effect.forEach(files, compile)
    const twice = found.findIndex(({ name }, i) => found.findIndex((other) => other.name === name) < i)
    // Of some that are named nobody knows who else may ask them.
    if (twice < 0) return named.length > 0 ? found : Policy.together(found)
    // They would share a user.
    return yield* failure("TRP0102", shown(files[twice] ?? ""), `another file is named ${found[twice]?.name} too`)
  })

/** The policy of what a file exports by default. TRP0102 when it is nothing that has one. */
export const compile = (file: string): Effect.Effect<Policy.Policy, Failure> =>
  Effect.flatMap(defaultExport(file), (declared) => policyOf(file, declared))

export const policyOf = (file: string, declared: unknown): Effect.Effect<Policy.Policy, Failure> =>
  Effect.try({
    try: () => {
      if (isService(declared)) return Policy.ofService(declared)
      if (Caller.is(declared)) return Policy.ofCaller(declared)
      if (isGateway(declared)) return Policy.ofCaller(callerOf(declared))
      throw new TypeError("its default export is neither a service, nor a gateway, nor a caller")
    },
    catch: (cause) => failure("TRP0102", shown(file), reason(cause))
  })

/** Whoever may do what is in the tokens; the gateway itself may send every command and hear every event of its contracts. */
const callerOf = ({ contracts, name }: Gateway.Gateway): Caller.Caller =>
  Caller.make(name, {
    sends: contracts.flatMap(Contract.actors).flatMap(({ commands }) => Object.values(commands)),
    hears: contracts
  })
