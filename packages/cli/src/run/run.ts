import { resolve } from "node:path"
import { Host } from "@troupe/service"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { Discovery, load } from "../service/index.ts"
import * as Settings from "../Settings.ts"
import * as address from "./address.ts"
import * as logging from "./logging.ts"
import { hasParent, parentGone } from "./parent.ts"

export interface Options {
  readonly file: string
  readonly natsUrl: Option.Option<Redacted.Redacted>
  readonly natsCreds: Option.Option<string>
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly httpHost: Option.Option<string>
  readonly httpPort: Option.Option<number>
  readonly json: boolean
}

/** Launches the host of one service and stays until it is interrupted; says so, in one line, when it is ready. */
export const run = (options: Options) =>
  Effect.gen(function* () {
    const [file] = yield* Discovery.files([options.file])
    const http = yield* address.of(options)
    const { service } = yield* load(file ?? resolve(options.file))
    const natsUrl = yield* Settings.required("NATS_URL", options.natsUrl)
    const databaseUrl = yield* Settings.required("DATABASE_URL", options.databaseUrl)
    const natsCreds = Settings.natsCreds(options.natsCreds)
    const host = Context.get(yield* Layer.build(Host.layer(service, { natsUrl, natsCreds, databaseUrl, http })), Host)
    yield* Console.log(
      options.json
        ? JSON.stringify({ service: service.name, url: host.url, pid: process.pid })
        : `${service.name} is ready: ${host.url}/readyz (process ${process.pid}; SIGTERM stops it)`
    )
    yield* Effect.sync(() => {
      // From here on to be stopped is how it ends.
      process.exitCode = 0
    })
    yield* parentGone
  }).pipe(Effect.scoped, Effect.provide(logging.layer(options.json && !hasParent)))
