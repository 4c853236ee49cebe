// One nats-server and one PostgreSQL for all integration tests: NATS_URL and DATABASE_URL if they are set, else
// started here. Test files get them by `inject("natsUrl")`, `inject("databaseUrl")` or from those variables.
import { join } from "node:path"
import { NatsServer, Postgres } from "../src/index.ts"
import { cache } from "../src/internal/folder.ts"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { TestProject } from "vitest/node"

declare module "vitest" {
  interface ProvidedContext {
    readonly natsUrl: string
    readonly databaseUrl: string
  }
}

const urlOf = <E>(variable: string, start: Effect.Effect<{ readonly url: string }, E, Scope.Scope>) =>
  Effect.suspend(() => {
    const set = process.env[variable]
    return set === undefined || set === "" ? Effect.map(start, ({ url }) => url) : Effect.succeed(set)
  })

// Hosts are started by the hundred: half of what a start takes is reading and compiling the same code again.
process.env["NODE_COMPILE_CACHE"] ||= join(cache(), "compiled")

export default async ({ provide }: TestProject): Promise<() => Promise<void>> => {
  const scope = Scope.makeUnsafe()
  const stop = () => Effect.runPromise(Scope.close(scope, Exit.void))
  const urls = Effect.all([urlOf("NATS_URL", NatsServer.start()), urlOf("DATABASE_URL", Postgres.start())], {
    concurrency: 2
  })
  try {
    const [natsUrl, databaseUrl] = await Effect.runPromise(Scope.provide(urls, scope))
    provide("natsUrl", natsUrl)
    provide("databaseUrl", databaseUrl)
    process.env["NATS_URL"] = natsUrl
    process.env["DATABASE_URL"] = databaseUrl
  } catch (cause) {
    await stop()
    throw cause
  }
  return stop
}
