import { Codes, Subject } from "@troupe/contract"
import { type Nats, Topology } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

/** Between looks. */
const interval = "1 minute"
/** How long a server has to answer. */
const bound = "5 seconds"
/** Clocks may differ by so much, in ms, before it is told. */
export const most = 5_000

/** What a server's clock said, between `before` and `after` of the own one; all in ms. */
export interface Reading {
  readonly said: number
  readonly before: number
  readonly after: number
}

/** How far the server's clock is ahead of the own one, in ms: the answer is taken to be from the middle of the round trip. */
export const offset = ({ after, before, said }: Reading): number => said - (before + after) / 2

/** Whether the clocks differ by too much, however the round trip was divided. */
export const isOff = (reading: Reading): boolean =>
  Math.abs(offset(reading)) - (reading.after - reading.before) / 2 > most

/**
 * Compares this machine's clock with those of both servers, once a minute. Answers what is the matter, for health; each
 * change is logged. No promise of order or ownership hangs on clocks; times of events do, and people who read them.
 */
export const watch = (service: string): Effect.Effect<() => ReadonlyArray<string>, never, Nats | Sql | Scope.Scope> =>
  Effect.gen(function* () {
    const trouble = new Map<string, string>()
    const sql = yield* Sql
    const servers: ReadonlyArray<readonly [string, Effect.Effect<number, unknown, Nats>]> = [
      [
        "postgres",
        Effect.tryPromise(async () => {
          const [row] = await sql`select extract(epoch from clock_timestamp())::float8 * 1000 as now`
          return Number(row?.["now"])
        })
      ],
      ["nats", Effect.map(Topology.find(Subject.stream("cmd", service)), (info) => Date.parse(info?.ts ?? ""))]
    ]
    const look = Effect.forEach(
      servers,
      ([server, ask]) =>
        Effect.gen(function* () {
          const before = yield* Clock.currentTimeMillis
          const said = yield* Effect.timeout(ask, bound)
          const reading = { said, before, after: yield* Clock.currentTimeMillis }
          if (!Number.isFinite(said)) return
          yield* Metric.update(gauge(server), offset(reading) / 1_000)
          const was = trouble.get(server)
          if (!isOff(reading)) {
            trouble.delete(server)
            if (was !== undefined) yield* Effect.logInfo(`the clocks of this host and ${server} agree again`)
            return
          }
          const seconds = (Math.abs(offset(reading)) / 1_000).toFixed(1)
          const why = `it is ${seconds} s ${offset(reading) > 0 ? "behind" : "ahead of"} that of ${server}`
          const line = Codes.text("TRP0517", "this host", why)
          trouble.set(server, line)
          if (was === undefined) yield* Effect.logWarning(line)
        }).pipe(Effect.catch((error) => Effect.logDebug(`the clock of ${server} could not be asked`, error))),
      { discard: true }
    )
    yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced(interval)))
    return () => [...trouble.values()]
  })

const gauge = (server: string) =>
  Metric.gauge("troupe_clock_offset_seconds", {
    description: "How far a server's clock is ahead of this host's",
    attributes: { server }
  })
