import * as Print from "../Print.ts"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import type { Client, ClientError } from "@troupe/client"
import type { Gateway } from "@troupe/gateway"
import { credentials } from "@troupe/nats"
import { Face, Host, type HostOptions, type Service, Starting, Tracing } from "@troupe/service"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { until200 } from "../dev/Probe.ts"
import { failure, reason } from "../Failure.ts"
import { onUncaught } from "../onUncaught.ts"
import { Discovery, load } from "../service/index.ts"
import * as Settings from "../Settings.ts"
import * as address from "./address.ts"
import * as limits from "./limits.ts"
import * as logging from "./logging.ts"
import { hasParent, parentGone } from "./parent.ts"

export interface Options extends limits.Flags {
  readonly file: string
  readonly natsUrl: Option.Option<Redacted.Redacted>
  readonly natsCreds: Option.Option<string>
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly httpHost: Option.Option<string>
  readonly httpPort: Option.Option<number>
  readonly json: boolean
}

/**
 * Launches one service or gateway and stays until it is interrupted, or `troupe dev` that started it is gone; says so, in one
 * line, when its `/readyz` does.
 */
export const run = (options: Options) =>
  // Also while it waits for its servers: those of dev are gone for good.
  Effect.raceFirst(launched(options), parentGone).pipe(Effect.scoped, Effect.provide(logging.layer(isJson(options))))

const launched = (options: Options) =>
  Effect.gen(function* () {
    const [file] = yield* Discovery.files([options.file])
    const http = yield* address.of(options)
    const set = yield* limits.of(options)
    const deadLetters = yield* limits.ofDeadLetters(options)
    const loaded = yield* load(file ?? resolve(options.file))
    const natsUrl = yield* Settings.required("NATS_URL", options.natsUrl)
    const natsCreds = Settings.natsCreds(options.natsCreds)
    const name = "service" in loaded ? loaded.service.name : loaded.gateway.name
    yield* Effect.sync(() => {
      // From here on to be stopped is how it ends, also while it waits for its servers.
      process.exitCode = 0
    })
    const guard = { json: isJson(options) }
    const url = yield* "service" in loaded
      ? serviceUrl(loaded.service, {
          natsUrl,
          natsCreds,
          http,
          limits: set,
          deadLetters,
          guard,
          databaseUrl: options.databaseUrl
        })
      : gatewayUrl(loaded.gateway, { natsUrl, natsCreds, http })
    yield* Print.out(
      options.json
        ? JSON.stringify({ service: name, url, pid: process.pid })
        : `${name} is ready: ${url}/readyz (process ${process.pid}; SIGTERM stops it)`
    )
    return yield* Effect.never
  })

/** What `troupe dev` shows is for people. */
const isJson = ({ json }: Options): boolean => json && !hasParent

const serviceUrl = (
  service: Service.Service,
  options: Pick<HostOptions, "natsUrl" | "natsCreds" | "http" | "limits" | "deadLetters" | "guard"> &
    Pick<Options, "databaseUrl">
) =>
  Effect.gen(function* () {
    const databaseUrl = yield* Settings.required("DATABASE_URL", options.databaseUrl)
    const host = Host.layer(service, { ...options, databaseUrl, onUncaught })
    const { health, url } = Context.get(yield* Layer.build(host), Host)
    yield* Effect.repeat(health, { until: ({ ready }) => ready, schedule: Schedule.spaced("50 millis") })
    return url
  })

const gatewayUrl = (
  gateway: Gateway.Gateway,
  { http, natsCreds, natsUrl }: Pick<HostOptions, "natsUrl" | "natsCreds" | "http">
) =>
  Effect.gen(function* () {
    const { servers, tls, ...user } = yield* Effect.try({
      try: () => credentials(Redacted.value(natsUrl)),
      catch: (cause) => failure("TRP0101", "NATS_URL", reason(cause))
    })
    // A service needs neither.
    const { layer } = yield* Effect.promise(() => import("@troupe/client/node"))
    const { serve } = yield* Effect.promise(() => import("@troupe/gateway/node"))
    const creds = natsCreds === undefined ? {} : { creds: () => readFileSync(natsCreds, "utf8") }
    const inboxPrefix = `_INBOX.${gateway.name}`
    const addresses = tls === undefined ? servers : servers.map((server) => `tls://${server}`)
    const client = layer({ ...user, ...creds, servers: addresses, name: gateway.name, inboxPrefix })
    yield* reached(gateway.name, http, client)
    const tracing = yield* Layer.build(Tracing.exporter(gateway.name))
    const url = yield* Effect.provideContext(serve(gateway, { ...http, client }), tracing)
    yield* until200(`${url}/readyz`).ok
    return url
  })

/** Waits until NATS is there. The gateway listens only then, so until then another server answers that it is alive and not ready. */
const reached = (name: string, http: HostOptions["http"], client: Layer.Layer<Client, ClientError>) => {
  const connects = Layer.build(client)
  const waits = Effect.gen(function* () {
    const face = yield* Face.open(name, http)
    const patient = Layer.effectContext(
      Effect.mapError(connects, (error) => ({ error, message: error.message, passes: isAway(error) }))
    )
    yield* Effect.mapError(Starting.patiently(patient, face), (failed) => ("error" in failed ? failed.error : failed))
  })
  return Effect.catchIf(Effect.scoped(Effect.asVoid(connects)), isAway, () => Effect.scoped(waits))
}

const isAway = ({ reason }: ClientError): boolean => reason._tag === "NotConnected"
