import { readFile } from "node:fs/promises"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import type { Contract } from "@troupe/contract"
import { Document } from "@troupe/contract/document"
import * as Effect from "effect/Effect"
import { type Failure, failure, located, reason } from "../Failure.ts"

/**
 * The document in a `.json` file, or of the one contract that a module exports: as itself, or in a service. Fails with
 * TRP0103 when the file cannot be loaded, with TRP0610 when there is no contract in it, or more than one.
 */
export const load = (file: string): Effect.Effect<Document.Document, Failure> =>
  Effect.gen(function* () {
    const path = resolve(file)
    const attempt = <A>(run: () => Promise<A>) =>
      Effect.tryPromise({ try: run, catch: (cause) => failure("TRP0103", file, reason(located(cause))) })
    if (path.endsWith(".json")) {
      const document = Document.parse(yield* attempt(() => readFile(path, "utf8")))
      return "why" in document ? yield* failure("TRP0610", file, document.why) : document
    }
    const module: { readonly [name: string]: unknown } = yield* attempt(() => import(pathToFileURL(path).href))
    const found = new Set(Object.values(module).flatMap(contractsIn))
    const [contract] = found
    if (contract === undefined || found.size > 1) {
      return yield* failure("TRP0610", file, `it exports ${found.size === 0 ? "none" : `${found.size} of them`}`)
    }
    return yield* Effect.try({
      try: () => Document.make(contract),
      catch: (cause) => failure("TRP0610", file, `a schema of it has no JSON form: ${reason(cause)}`)
    })
  })

/** Any copy of the packages will do, so marks are compared and no classes. */
const contractsIn = (value: unknown): ReadonlyArray<Contract.AnyContract> => {
  if (typeof value !== "object" || value === null) return []
  if ("~service" in value && "~version" in value) return [value as Contract.AnyContract]
  return "~troupe" in value && "contract" in value ? contractsIn(value.contract) : []
}
