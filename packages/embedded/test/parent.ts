// Starts both servers, prints where they are, and waits to be killed.
import * as Effect from "effect/Effect"
import { NatsServer, Postgres } from "../src/index.ts"

const main = Effect.gen(function* () {
  const nats = yield* NatsServer.start()
  const postgres = yield* Postgres.start()
  const started = { pids: [nats.pid, postgres.pid], folders: [nats.store, postgres.dataDir] }
  yield* Effect.sync(() => process.stdout.write(`${JSON.stringify(started)}\n`))
  return yield* Effect.never
})

setInterval(() => {}, 60_000)
Effect.runFork(Effect.scoped(main))
