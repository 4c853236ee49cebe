import { relative } from "node:path"
import { pathToFileURL } from "node:url"
import type { Gateway } from "@troupe/gateway"
import type { Service } from "@troupe/service"
import * as Effect from "effect/Effect"
import { type Failure, failure, located, reason } from "../Failure.ts"

/** A service and the file that declares it. */
export interface Loaded {
  readonly file: string
  readonly service: Service.Service
}

/** A gateway and the file that declares it. */
export interface LoadedGateway {
  readonly file: string
  readonly gateway: Gateway.Gateway
}

/** Imports the file; its default export is a service or a gateway, else TRP0102. TRP0103 when it cannot be imported. */
export const load = (file: string): Effect.Effect<Loaded | LoadedGateway, Failure> =>
  Effect.gen(function* () {
    const declared = yield* defaultExport(file)
    if (isService(declared)) return { file, service: declared }
    if (isGateway(declared)) return { file, gateway: declared }
    const why = declared === undefined ? "it has no default export" : "its default export is something else"
    return yield* failure("TRP0102", shown(file), why)
  })

/** Imports the file. TRP0103 when it cannot be imported. */
export const defaultExport = (file: string): Effect.Effect<unknown, Failure> =>
  Effect.tryPromise({
    try: async () => ((await import(pathToFileURL(file).href)) as { readonly default?: unknown }).default,
    catch: (cause) => failure("TRP0103", shown(file), reason(located(cause)))
  })

/** What a folder has to run. */
export interface Programs {
  readonly services: ReadonlyArray<Loaded>
  readonly gateways: ReadonlyArray<LoadedGateway>
}

/** All of them. Two of one name are refused with TRP0102: they would share a database and streams, or a user of NATS. */
export const loadAll = (files: ReadonlyArray<string>): Effect.Effect<Programs, Failure> =>
  Effect.gen(function* () {
    const all = yield* Effect.forEach(files, load)
    const names = all.map((one) => ("service" in one ? one.service.name : one.gateway.name))
    const twice = names.findIndex((name, i) => names.indexOf(name) < i)
    if (twice >= 0)
      return yield* failure("TRP0102", shown(all[twice]?.file ?? ""), `another file is named ${names[twice]} too`)
    return {
      services: all.filter((one) => "service" in one),
      gateways: all.filter((one) => "gateway" in one)
    }
  })

/** Any copy of `@troupe/service` will do, so the mark is compared and no class. */
export const isService = (value: unknown): value is Service.Service => markOf(value) === "service"

/** Of any copy of `@troupe/gateway`. */
export const isGateway = (value: unknown): value is Gateway.Gateway => markOf(value) === "gateway"

const markOf = (value: unknown): unknown =>
  typeof value === "object" && value !== null && "~troupe" in value ? value["~troupe"] : undefined

export const shown = (file: string): string => {
  const path = relative(process.cwd(), file)
  return path === "" || path.startsWith("..") ? file : path
}
