import { readFile } from "node:fs/promises"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import type { Contract } from "@troupe/contract"
import { Document } from "@troupe/contract/document"
import * as Effect from "effect/Effect"
import { type Failure, failure, located, reason } from "../Failure.ts"

/**
 * The document in a `.json` file, or of the one contract that a module exports. Fails as `contractOf` does, and with
 * TRP0610 when the `.json` is none.
 */
export const load = (file: string): Effect.Effect<Document.Document, Failure> =>
  Effect.gen(function* () {
    if (!isExported(file)) return yield* described(file, yield* contractOf(file), Document.make)
    const document = Document.parse(yield* attempt(file, () => readFile(resolve(file), "utf8")))
    return "why" in document ? yield* failure("TRP0610", file, document.why) : document
  })

/**
 * The one contract that a module exports: as itself, or in a service. Fails with TRP0103 when the file cannot be loaded,
 * with TRP0610 when there is no contract in it, or more than one.
 */
export const contractOf = (file: string): Effect.Effect<Contract.AnyContract, Failure> =>
  Effect.gen(function* () {
    if (isExported(file)) return yield* failure("TRP0610", file, "it is an exported contract: name the module")
    const module: { readonly [name: string]: unknown } = yield* attempt(
      file,
      () => import(pathToFileURL(resolve(file)).href)
    )
    const found = new Set(Object.values(module).flatMap(contractsIn))
    const [contract] = found
    return contract === undefined || found.size > 1
      ? yield* failure("TRP0610", file, `it exports ${found.size === 0 ? "none" : `${found.size} of them`}`)
      : contract
  })

/** What `make` says of a contract. Fails with TRP0610 when a schema of it has no JSON form. */
export const described = <A>(
  file: string,
  contract: Contract.AnyContract,
  make: (contract: Contract.AnyContract) => A
): Effect.Effect<A, Failure> =>
  Effect.try({
    try: () => make(contract),
    catch: (cause) => failure("TRP0610", file, `a schema of it has no JSON form: ${reason(cause)}`)
  })

const isExported = (file: string): boolean => file.endsWith(".json")

const attempt = <A>(file: string, run: () => Promise<A>): Effect.Effect<A, Failure> =>
  Effect.tryPromise({ try: run, catch: (cause) => failure("TRP0103", file, reason(located(cause))) })

/** Any copy of the packages will do, so marks are compared and no classes. */
const contractsIn = (value: unknown): ReadonlyArray<Contract.AnyContract> => {
  if (typeof value !== "object" || value === null) return []
  if ("~service" in value && "~version" in value) return [value as Contract.AnyContract]
  return "~troupe" in value && "contract" in value ? contractsIn(value.contract) : []
}
