import { Codes, Subject } from "@troupe/contract"
import { type Nats, Publisher } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import { Consumers } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"

/** Between looks. */
const interval = "1 minute"

const count = Metric.gauge("troupe_consumers_unclaimed", {
  description: "Consumers of the database that no living host runs, with messages that wait"
})

/**
 * Looks for consumers that no living host runs and for which messages wait: an actor or subscriber that was removed from the
 * code. Those of this host, `own`, are none, though it may not have joined yet. Each is told once per host. One that another host still runs, as during a deploy, is looked at again after a minute.
 */
export const watch = (service: string, own: ReadonlySet<string>): Effect.Effect<void, never, Nats | Sql> =>
  Effect.suspend(() => {
    const told = new Set<string>()
    return look(service, own).pipe(
      Effect.tap((left) => Metric.update(count, left.length)),
      Effect.flatMap((left) =>
        Effect.forEach(
          left.filter(({ name }) => !told.has(name)),
          ({ commands, name, parked, timers }) => {
            told.add(name)
            const why = `${timers} timers, ${parked} parked messages and unread commands in ${commands} partitions wait for it`
            return Effect.logWarning(Codes.text("TRP0516", name, why))
          },
          { discard: true }
        )
      ),
      Effect.catch((error) => Effect.logDebug("could not look for consumers that nobody runs", error)),
      Effect.repeat(Schedule.spaced(interval)),
      Effect.asVoid
    )
  })

/** Counts of what waits for a consumer. */
interface Left extends Pick<Consumers.Consumer, "name" | "timers" | "parked"> {
  /** Partitions with commands behind its cursor. */
  readonly commands: number
}

const look = (service: string, own: ReadonlySet<string>) =>
  Effect.gen(function* () {
    const stream = Subject.stream("cmd", service)
    const sql = yield* Sql
    const all = yield* Effect.tryPromise(() => Consumers.unclaimed(sql, stream))
    const consumers = all.filter(({ name }) => !own.has(name))
    const left = yield* Effect.forEach(consumers, (consumer) =>
      Effect.gen(function* () {
        const actor = consumer.name.slice(service.length + 1)
        let commands = 0
        for (let p = 0; p < consumer.partitions; p++) {
          const last = yield* Publisher.lastOf(stream, Subject.filter("cmd", service, p, actor))
          if (last !== undefined && last.sequence > (consumer.cursors.get(p) ?? 0)) commands++
        }
        return { name: consumer.name, timers: consumer.timers, parked: consumer.parked, commands } satisfies Left
      })
    )
    return left.filter(({ commands, parked, timers }) => commands + parked + timers > 0)
  })
