import { monitorEventLoopDelay } from "node:perf_hooks"
import { DeadLetters, type Partition } from "@troupe/actor/engine"
import { Sql } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Scope from "effect/Scope"
import type { Health } from "./Health.ts"
import * as Outboxes from "./Outboxes.ts"
import type { Size } from "./Streams.ts"

/** How long PostgreSQL has for its part; what it does not say in time is `NaN`. */
const bound = "2 seconds"
/** Parked messages are counted up to here. */
const counted = 10_000

export interface Options {
  readonly partitions: ReadonlyArray<Partition.Progress>
  readonly health: Effect.Effect<Health>
  readonly streams: () => ReadonlyArray<Size>
}

/**
 * Everything that this process measures, in the text format of Prometheus. What others count as they go is in it; what
 * can be looked up is looked up when it is asked for, so that it costs nothing in between.
 */
export const text = (options: Options): Effect.Effect<Effect.Effect<string>, never, Sql | Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<Sql>()
    const scope = yield* Effect.scope
    const delay = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const delay = monitorEventLoopDelay({ resolution: 20 })
        delay.enable()
        return delay
      }),
      (delay) => Effect.sync(() => delay.disable())
    )
    const set = gauges()
    let spent = 0
    const ofProcess = Effect.gen(function* () {
      const { system, user } = process.cpuUsage()
      yield* set("process_resident_memory_bytes", "Memory of the process", {}, process.memoryUsage.rss())
      yield* Metric.update(cpu, (user + system) / 1e6 - spent)
      spent = (user + system) / 1e6
      const p99 = delay.count === 0 ? 0 : delay.percentile(99) / 1e9
      delay.reset()
      yield* set(
        "nodejs_eventloop_lag_p99_seconds",
        "How late timers were since the last look, 99th percentile",
        {},
        p99
      )
    })
    const ofConsumers = Effect.gen(function* () {
      const { consumers } = yield* options.health
      for (const { behind, name: consumer, ready } of consumers) {
        yield* set("troupe_partitions_owned", "Partitions that this host reads", { consumer }, ready)
        yield* set("troupe_partitions_behind", "Of those, partitions with unhandled messages", { consumer }, behind)
      }
      const pending = new Map<string, number>()
      for (const one of options.partitions) {
        const messages = Object.values(one.pending).reduce((sum, n) => sum + n, pending.get(one.consumer.name) ?? 0)
        pending.set(one.consumer.name, messages)
      }
      for (const [consumer, messages] of pending)
        yield* set(
          "troupe_consumer_pending",
          "Messages that are not read yet, as of the last one read",
          { consumer },
          messages
        )
    })
    const ofDeadLetters = Effect.suspend(() => {
      const byConsumer = Map.groupBy(options.partitions, ({ consumer }) => consumer.name)
      return Effect.forEach(
        byConsumer,
        ([consumer, partitions]) => {
          const rooms = partitions.flatMap(({ room }) => room ?? [])
          const sum = (of: (room: DeadLetters.Room) => number) => rooms.reduce((all, room) => all + of(room), 0)
          const fullest = Math.max(0, ...rooms.map(DeadLetters.filled))
          return Effect.all([
            set(
              "troupe_dead_letters",
              "Dead letters of partitions that this host owns",
              { consumer },
              sum((room) => room.messages)
            ),
            set(
              "troupe_dead_letters_bytes",
              "What they take",
              { consumer },
              sum((room) => room.bytes)
            ),
            set(
              "troupe_dead_letters_fullest",
              "Share of its room that the fullest of these partitions has used",
              { consumer },
              fullest
            )
          ])
        },
        { discard: true }
      )
    })
    const ofStreams = Effect.suspend(() =>
      Effect.forEach(
        options.streams(),
        ({ bytes, consumers, limit, stream }) =>
          Effect.all([
            set("troupe_stream_bytes", "What a stream of the service holds, as of the last 5 s", { stream }, bytes),
            set("troupe_stream_limit_bytes", "What it may hold", { stream }, limit),
            set(
              "troupe_stream_consumers",
              "Readers of the stream that the server has, of any origin",
              { stream },
              consumers
            )
          ]),
        { discard: true }
      )
    )
    const streams = new Set<string>()
    // A database that does not answer is asked once, not once for each look.
    let asked: Fiber.Fiber<readonly [ReadonlyArray<Outboxes.Waiting>, number], unknown> | undefined
    const ask = Effect.gen(function* () {
      if (asked === undefined || asked.pollUnsafe() !== undefined)
        asked = yield* Effect.forkIn(Effect.all([Outboxes.waiting, parked]), scope)
      return yield* Effect.timeout(Fiber.join(asked), bound)
    })
    const ofDatabase = Effect.gen(function* () {
      const found = yield* Effect.result(ask)
      const [outboxes, waiting] = found._tag === "Success" ? found.success : [[], Number.NaN]
      for (const { stream } of outboxes) streams.add(stream)
      for (const stream of streams) {
        const rows = outboxes
          .filter((one) => one.stream === stream)
          .reduce((sum, one) => sum + one.newest - one.watermark, 0)
        yield* set(
          "troupe_outbox_waiting",
          "Positions of the outbox that are not known to be published, at most",
          { stream },
          found._tag === "Success" ? rows : Number.NaN
        )
      }
      yield* set("troupe_parked", `Messages that wait for another try; counted up to ${counted}`, {}, waiting)
    })
    return Effect.all([ofProcess, ofConsumers, ofDeadLetters, ofStreams, ofDatabase], { discard: true }).pipe(
      Effect.andThen(PrometheusMetrics.format()),
      Effect.provideContext(context)
    )
  })

const parked = Effect.flatMap(Sql, (sql) =>
  Effect.tryPromise(async () => {
    const [row] = await sql`select count(*)::int as n from (select from troupe.parked limit ${counted}) waiting`
    return Number(row?.["n"])
  })
)

const cpu = Metric.counter("process_cpu_seconds_total", { description: "CPU time of the process", incremental: true })

/** Gauges by name and labels, made when they are first set. */
const gauges = () => {
  const known = new Map<string, Metric.Gauge<number>>()
  return (name: string, description: string, labels: Record<string, string>, value: number): Effect.Effect<void> => {
    const key = `${name} ${Object.values(labels).join(" ")}`
    const gauge = known.get(key) ?? Metric.gauge(name, { description, attributes: labels })
    known.set(key, gauge)
    return Metric.update(gauge, value)
  }
}
