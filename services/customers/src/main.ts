/**
 * The load: a thousand orders through the typed SDK, then what became of them, read from the orders service's database.
 * `--json` prints one line. Exits with 1 when an order was lost, repeated or handled out of order.
 */
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { layer as clientLayer } from "@troupe/client/node"
import { Codes } from "@troupe/contract"
import { Sql } from "@troupe/postgres"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { place } from "./load.ts"
import * as Plan from "./plan.ts"
import * as Progress from "./progress.ts"
import * as Report from "./report.ts"
import * as Summary from "./summary.ts"

class BadSetting extends Schema.TaggedError<BadSetting>()("BadSetting", { message: Schema.String }) {}

const flags = Effect.try({
  try: () => parseArgs({ options: { json: { type: "boolean", default: false } } }).values,
  catch: (cause) =>
    new BadSetting({
      message: Codes.text("TRP0101", "customers", cause instanceof Error ? cause.message : String(cause))
    })
})

const setting = <A>(name: string, config: Config.Config<A>): Effect.Effect<A, BadSetting> =>
  Effect.mapError(config, () => new BadSetting({ message: Codes.text("TRP0101", name, "troupe dev --then sets it") }))

const connections = Layer.unwrap(
  Effect.gen(function* () {
    const servers = yield* setting("NATS_URL", Config.String("NATS_URL"))
    const url = yield* setting("ORDERS_DATABASE_URL", Config.Redacted("ORDERS_DATABASE_URL"))
    return Layer.merge(
      clientLayer({ servers, name: "customers", inboxPrefix: "_INBOX.customers" }),
      Sql.layer({ url, max: 1, applicationName: "customers" })
    )
  })
)

/** Begins the ids of this run, so that it does not count the orders of another on the same database. */
const runId = Effect.gen(function* () {
  const millis = yield* Clock.currentTimeMillis
  const dice = yield* Random.nextIntBetween(0, 36 ** 3)
  return millis.toString(36) + dice.toString(36).padStart(3, "0")
})

const load = Effect.gen(function* () {
  const orders = Plan.make(yield* runId)
  const { acknowledged, outOfStock, sentTwice } = yield* Progress.show("placing orders", orders.length, (at) =>
    place(orders, at)
  )
  const summary = yield* Progress.show("following them", acknowledged.length, (at) =>
    Summary.whenFinal(acknowledged, at)
  )
  return { report: { ...summary, sentTwice }, outOfStock }
})

const main = Effect.gen(function* () {
  const { json } = yield* flags
  const [took, { report, outOfStock }] = yield* Effect.timed(load).pipe(Effect.provide(connections))
  process.stdout.write(`${json ? Report.json(report) : Report.text(report, outOfStock, Duration.toMillis(took))}\n`)
  if (!Report.isGood(report)) process.exitCode = 1
})

main.pipe(
  Effect.catch((error) =>
    Effect.sync(() => {
      process.stderr.write(`${error.message}\n`)
      process.exitCode = 1
    })
  ),
  NodeRuntime.runMain
)
