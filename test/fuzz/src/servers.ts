import { NatsServer, Postgres } from "@troupe/embedded"
import { Migrations } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

/** A nats-server and a PostgreSQL of their own: what is sent to them is nobody else's. */
export const servers = Effect.gen(function* () {
  const [nats, postgres] = yield* Effect.all([NatsServer.start(), Postgres.start()], { concurrency: 2 })
  yield* Migrations.run({ url: Redacted.make(postgres.url) })
  return { natsUrl: nats.url, databaseUrl: postgres.url }
})
