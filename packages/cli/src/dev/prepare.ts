import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { apply } from "../migrate/migrate.ts"
import { Discovery, type Programs } from "../service/index.ts"
import * as Notices from "./Notices.ts"
import { adopt } from "./adopt.ts"
import * as Ports from "./Ports.ts"
import type { Service } from "./Service.ts"

/** Brings each service's database up to date, as its own role, and gives it and each gateway a port. */
export const prepare = (
  { gateways, services }: Programs,
  databases: ReadonlyArray<Redacted.Redacted>,
  natsUrlOf: (name: string) => Redacted.Redacted,
  base: number
) =>
  Effect.gen(function* () {
    const ports = yield* Ports.free(services.length + gateways.length, base)
    const prepared = yield* Effect.forEach(
      Array.zip(Array.zip(services, databases), ports),
      ([[{ file, service }, databaseUrl], port]) =>
        Effect.gen(function* () {
          const folder = yield* Discovery.migrations(file)
          const applied = yield* apply({ service: service.name, url: databaseUrl, folder })
          if (applied.length > 0) Notices.say(`${service.name}: applied ${applied.join(", ")}`)
          const natsUrl = natsUrlOf(service.name)
          yield* adopt(service.name, databaseUrl, natsUrl)
          return { name: service.name, file, port, natsUrl, databaseUrl } satisfies Service
        }),
      { concurrency: 4 }
    )
    const rest = Array.zip(gateways, ports.slice(services.length)).map(([{ file, gateway }, port]): Service => ({
      name: gateway.name,
      file,
      port,
      natsUrl: natsUrlOf(gateway.name),
      databaseUrl: undefined
    }))
    return [...prepared, ...rest]
  })
