import { Nats, type NatsError, Topology } from "@troupe/nats"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Settings from "../Settings.ts"
import { failed, type Finding, ok, warn } from "./Finding.ts"
import { natsClock } from "./natsClock.ts"
import { durability } from "./natsDurability.ts"
import { natsTls } from "./tls.ts"

/** Below this many bytes of `max_payload` ordinary messages are refused. */
const usualPayload = 1024 ** 2

/** A NATS server that answers. */
export interface Broker {
  readonly context: Context.Context<Nats>
  /** Services that have a stream there. */
  readonly services: ReadonlyArray<string>
}

/** Connects to the server and looks at it; `names` are services whose streams it may have. */
export const open = (
  url: Redacted.Redacted,
  creds: string | undefined,
  names: ReadonlyArray<string>
): Effect.Effect<readonly [Broker, ReadonlyArray<Finding>], NatsError, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Layer.build(Nats.layer({ url, creds, name: "troupe doctor" }))
    const server = Context.get(context, Nats)
    const { findings, services } = yield* Effect.provideContext(listed, context)
    const clock = yield* Effect.provideContext(natsClock([...services, ...names]), context)
    return [{ context, services }, [...facts(server, url), yield* durability(server.connection), clock, ...findings]]
  })

/** The services whose streams this user may list. */
const listed = Topology.all.pipe(
  Effect.map((all) => ({
    services: [...new Set(all.map(({ config }) => config.name.replace(/^[A-Z]+_/, "")))],
    findings: [] as ReadonlyArray<Finding>
  })),
  Effect.catch((error) => {
    const { says } = failed("streams", error)
    const todo = "let this user list them, to see those of other services"
    const finding = warn("streams", `${says}: only services that are named otherwise are looked at`, todo)
    return Effect.succeed({ services: [] as ReadonlyArray<string>, findings: [finding] })
  })
)

const facts = ({ capabilities, connection }: Nats["Service"], url: Redacted.Redacted): ReadonlyArray<Finding> => [
  ok("nats", `nats-server ${capabilities.version} at ${Settings.redacted(url)}, JetStream is on`),
  ...natsTls(url, connection.info?.tls_required === true || connection.info?.tls_available === true),
  capabilities.atomicBatch
    ? ok("nats publishing", capabilities.fastIngest ? "atomic batches and fast ingest" : "atomic batches")
    : warn(
        "nats publishing",
        "this version has no atomic batches",
        "use nats-server 2.12 or newer: it relays much faster"
      ),
  capabilities.maxPayload >= usualPayload
    ? ok("nats max_payload", `${capabilities.maxPayload} bytes`)
    : warn("nats max_payload", `${capabilities.maxPayload} bytes`, "set max_payload to 1MB or more, or send less")
]
