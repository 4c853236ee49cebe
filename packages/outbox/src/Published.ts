import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

const counters = new Map<string, Metric.Counter<number>>()

/** Counts messages that a stream acknowledged: as many series as there are destinations. */
export const published = (stream: string, messages: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    let counter = counters.get(stream)
    if (counter === undefined) {
      counter = Metric.counter("troupe_relay_published_total", {
        description: "Messages of the outbox that their stream has acknowledged",
        attributes: { stream },
        incremental: true
      })
      counters.set(stream, counter)
    }
    return Metric.update(counter, messages)
  })
