import { Nats } from "@troupe/nats"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Settings from "../Settings.ts"
import { failed, type Finding, ok, warn } from "./Finding.ts"
import { durability } from "./natsDurability.ts"
import { streams } from "./streams.ts"
import { natsTls } from "./tls.ts"

/** Below this many bytes of `max_payload` ordinary messages are refused. */
const usualPayload = 1024 ** 2

/** The server, then the streams of the services. */
export const nats = (url: Redacted.Redacted, services: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const context = yield* Layer.build(Nats.layer({ url, name: "troupe doctor" }))
      const server = Context.get(context, Nats)
      const more = yield* Effect.provideContext(streams(services), context)
      return [...facts(server, url), yield* durability(server.connection), ...more]
    })
  ).pipe(
    Effect.timeout("20 seconds"),
    Effect.catch((error) => Effect.succeed([failed("nats", error)]))
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
