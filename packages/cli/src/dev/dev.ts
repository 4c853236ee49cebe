import { existsSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { Ended, failure } from "../Failure.ts"
import * as address from "../run/address.ts"
import * as limits from "../run/limits.ts"
import { Discovery, loadAll } from "../service/index.ts"
import * as Settings from "../Settings.ts"
import * as Databases from "./Databases.ts"
import { findings } from "./findings.ts"
import { prepare } from "./prepare.ts"
import * as Servers from "./Servers.ts"
import { serve } from "./serve.ts"
import * as Users from "./Users.ts"

export interface Options extends limits.Flags {
  readonly files: ReadonlyArray<string>
  readonly after: Option.Option<string>
  readonly once: boolean
  readonly natsUrl: Option.Option<Redacted.Redacted>
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly httpPort: Option.Option<number>
  readonly json: boolean
}

/**
 * Servers, then databases, then the services, each a process; until Ctrl-C, or with `once` until the program of `--then`
 * has run. Everything ends in the reverse order. When something fails, what doctor finds failing besides is said before
 * it, on stderr.
 */
export const dev = (options: Options) =>
  Effect.gen(function* () {
    const { port } = yield* address.of(options)
    yield* limits.of(options)
    yield* limits.ofDeadLetters(options)
    // The services' processes have this environment.
    Object.assign(process.env, limits.toEnvironment(options))
    const after = Option.getOrUndefined(options.after)
    if (after !== undefined && !existsSync(after)) return yield* failure("TRP0103", after, "there is no such file")
    const files = yield* Discovery.files(options.files, { except: after })
    if (files.length === 0)
      return yield* failure("TRP0104", process.cwd(), "there is no services/*/src/main.ts with a default export")
    const named = {
      natsUrl: yield* Settings.optional("NATS_URL", options.natsUrl),
      databaseUrl: yield* Settings.optional("DATABASE_URL", options.databaseUrl)
    }
    yield* Servers.check(named)
    const code = yield* Effect.scoped(
      Effect.gen(function* () {
        const loading = yield* Effect.cached(loadAll(files))
        const users = yield* Effect.cached(Effect.flatMap(loading, (loaded) => Users.make(loaded, after)))
        const open = Effect.tapError(Servers.open(named, users), (error) => findings(error, named, []))
        // Servers start in processes of their own, meanwhile this one loads code.
        const [servers, loaded] = yield* Effect.all([open, loading], { concurrency: 2 })
        // Until databases and streams are there, doctor would only find that they are not.
        let prepared: typeof loaded.services = []
        const work = Effect.gen(function* () {
          const names = loaded.services.map(({ service }) => service.name)
          const urls = yield* Databases.provide(servers.databaseUrl, names)
          const services = yield* prepare(loaded, urls, servers.natsUrlOf, port)
          prepared = loaded.services
          const examples = loaded.gateways.map(({ gateway }) => ({ name: gateway.name, example: gateway.example }))
          return yield* serve({ services, examples, servers, after, once: options.once, json: options.json })
        })
        const both = { natsUrl: Option.some(servers.natsUrl), databaseUrl: Option.some(servers.databaseUrl) }
        return yield* Effect.tapError(Effect.scoped(work), (error) => findings(error, both, prepared))
      })
    )
    if (code !== 0) return yield* new Ended({ code })
  })
