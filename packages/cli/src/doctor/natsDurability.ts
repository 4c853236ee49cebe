import type { Nats } from "@troupe/nats"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Finding, ok, warn } from "./Finding.ts"

type Connection = Nats["Service"]["connection"]

/** What a server says of JetStream, by `$SYS.REQ.SERVER.PING.JSZ` or its monitoring port. Intervals in ns. */
const Jsz = Schema.Struct({
  server_id: Schema.String,
  config: Schema.Struct({
    sync_interval: Schema.optionalKey(Schema.Finite),
    sync_always: Schema.optionalKey(Schema.Boolean)
  })
})
const Answer = Schema.fromJsonString(Schema.Union([Jsz, Schema.Struct({ data: Jsz })]))
const check = "nats durability"
const todo =
  "where a direct send has to survive a power cut: sync_interval: always, or three replicas (the outbox needs neither)"

/** When the server writes what it has acknowledged to disk. Only the system account and the monitoring port say it. */
export const durability = (connection: Connection): Effect.Effect<Finding> =>
  Effect.raceAll([bySystem(connection), byMonitor(connection)]).pipe(
    Effect.map(({ config }) =>
      config.sync_always === true
        ? ok(check, "every message is on disk before it is acknowledged")
        : warn(check, `acknowledged messages reach the disk within ${(config.sync_interval ?? 120e9) / 1e9} s`, todo)
    ),
    Effect.orElseSucceed(() =>
      warn(
        check,
        "this account may not see sync_interval (2 minutes unless set)",
        `see it with curl http://HOST:8222/jsz?config=true (monitoring on); ${todo}`
      )
    )
  )

const bySystem = (connection: Connection) =>
  decoded(connection, async () =>
    (await connection.request("$SYS.REQ.SERVER.PING.JSZ", "", { timeout: 1_000 })).string()
  )

const byMonitor = (connection: Connection) =>
  decoded(connection, async (signal) => {
    const host = connection.getServer().replace(/:\d+$/, "")
    const url = `http://${host}:8222/jsz?config=true`
    return (await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(1_000)]) })).text()
  })

const decoded = (connection: Connection, ask: (signal: AbortSignal) => Promise<string>) =>
  Effect.gen(function* () {
    const answer = yield* Schema.decodeEffect(Answer)(yield* Effect.tryPromise(ask))
    const jsz = "data" in answer ? answer.data : answer
    // On that port may be another server.
    if (jsz.server_id !== connection.info?.server_id) return yield* Effect.fail("another server" as const)
    return jsz
  })
