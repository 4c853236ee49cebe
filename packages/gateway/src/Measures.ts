import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

const seconds = Metric.histogram("troupe_gateway_request_seconds", {
  description: "How long requests took, without event streams",
  boundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
})

export const open = Metric.gauge("troupe_gateway_streams", { description: "Event streams that are open" })

const counters = new Map<string, Metric.Counter<number>>()

/** Counts a request. `to` is a command of a contract or a kind of route, so there are only so many. */
export const count = (to: string, status: number, ms: number): Effect.Effect<void> => {
  const key = `${to} ${status}`
  const counter =
    counters.get(key) ??
    Metric.counter("troupe_gateway_requests", {
      description: "Requests, by what they are for and how they were answered",
      attributes: { to, status: String(status) },
      incremental: true
    })
  counters.set(key, counter)
  return Effect.andThen(Metric.update(counter, 1), Metric.update(seconds, ms / 1_000))
}
