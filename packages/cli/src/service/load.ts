import { relative } from "node:path"
import { pathToFileURL } from "node:url"
import type { Service } from "@troupe/service"
import * as Effect from "effect/Effect"
import { type Failure, failure, located, reason } from "../Failure.ts"

/** A service and the file that declares it. */
export interface Loaded {
  readonly file: string
  readonly service: Service.Service
}

/** Imports the file; its default export is a service, else TRP0102. TRP0103 when it cannot be imported. */
export const load = (file: string): Effect.Effect<Loaded, Failure> =>
  Effect.gen(function* () {
    const declared = yield* defaultExport(file)
    if (!isService(declared)) {
      const why = declared === undefined ? "it has no default export" : "its default export is something else"
      return yield* failure("TRP0102", shown(file), why)
    }
    return { file, service: declared }
  })

/** Imports the file. TRP0103 when it cannot be imported. */
export const defaultExport = (file: string): Effect.Effect<unknown, Failure> =>
  Effect.tryPromise({
    try: async () => ((await import(pathToFileURL(file).href)) as { readonly default?: unknown }).default,
    catch: (cause) => failure("TRP0103", shown(file), reason(located(cause)))
  })

/** All of them. Two of one name are refused with TRP0102: they would share a database and streams. */
export const loadAll = (files: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Loaded>, Failure> =>
  Effect.gen(function* () {
    const all = yield* Effect.forEach(files, load)
    const twice = all.find(({ service }, i) => all.findIndex((other) => other.service.name === service.name) < i)
    if (twice === undefined) return all
    return yield* failure("TRP0102", shown(twice.file), `another file declares the service ${twice.service.name} too`)
  })

/** Any copy of `@troupe/service` will do, so the mark is compared and no class. */
export const isService = (value: unknown): value is Service.Service =>
  typeof value === "object" && value !== null && "~troupe" in value && value["~troupe"] === "service"

export const shown = (file: string): string => {
  const path = relative(process.cwd(), file)
  return path === "" || path.startsWith("..") ? file : path
}
