import { type Commit, Dead } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type { Consumer } from "./Consumer.ts"

// What turns are measured by: updated once for each batch and each call, never for each message. No label holds a key or
// an id, so that there are as many series as there are consumers.

const outcomes = ["reply", "error", "rejected", "event"] as const
type Outcome = (typeof outcomes)[number]

interface Series {
  readonly turns: Record<Outcome, Metric.Counter<number>>
  readonly size: Metric.Histogram<number>
  readonly dead: Metric.Counter<number>
}

const seriesOf = (consumer: string): Series => {
  const turns = (outcome: Outcome) =>
    Metric.counter("troupe_turns_total", {
      description: "Turns that were committed, by what became of them",
      attributes: { consumer, outcome },
      incremental: true
    })
  return {
    turns: { reply: turns("reply"), error: turns("error"), rejected: turns("rejected"), event: turns("event") },
    size: Metric.histogram("troupe_turn_batch_size", {
      description: "Turns of one commit of one partition",
      attributes: { consumer },
      boundaries: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]
    }),
    dead: Metric.counter("troupe_dead_letters_total", {
      description: "Messages that were given up, and kept",
      attributes: { consumer },
      incremental: true
    })
  }
}
const known = new WeakMap<Consumer, Series>()

/** Counts what a batch committed. */
export const committed = (consumer: Consumer, { inbox, more: { dead = [] } }: Commit.Work): Effect.Effect<void> =>
  Effect.contextWith((context) => {
    let series = known.get(consumer)
    if (series === undefined) known.set(consumer, (series = seriesOf(consumer.name)))
    const counts: Record<Outcome, number> = { reply: 0, error: 0, rejected: 0, event: 0 }
    for (const { outcome } of inbox) counts[(outcome ?? "event") as Outcome]++
    for (const outcome of outcomes) {
      if (counts[outcome] > 0) series.turns[outcome].updateUnsafe(counts[outcome], context)
    }
    if (inbox.length > 0) series.size.updateUnsafe(inbox.length, context)
    const kept = dead.filter(({ code }) => code !== Dead.summary).length
    if (kept > 0) series.dead.updateUnsafe(kept, context)
    return Effect.void
  })

const boundaries = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]

const seconds = (outcome: "committed" | "failed") =>
  Metric.histogram("troupe_commit_duration_seconds", {
    description: "Calls of the function that commits the staged work of a host's partitions",
    attributes: { outcome },
    boundaries
  })
const durations = { committed: seconds("committed"), failed: seconds("failed") }

/** Times a call of the commit function. */
export const timed = <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  observed(call, (exit) => durations[Exit.isSuccess(exit) ? "committed" : "failed"])

const edgeSeconds = (consumer: string, outcome: "answered" | "away") =>
  Metric.histogram("troupe_edge_call_duration_seconds", {
    description: "Calls of the edge that runs the handlers of a consumer",
    attributes: { consumer, outcome },
    boundaries
  })

/** Times a call of an edge. */
export const called = <A, E, R>(consumer: string, call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  observed(call, (exit) => edgeSeconds(consumer, Exit.isSuccess(exit) ? "answered" : "away"))

const observed = <A, E, R>(
  call: Effect.Effect<A, E, R>,
  metric: (exit: Exit.Exit<A, E>) => Metric.Histogram<number>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const began = performance.now()
    return Effect.onExit(call, (exit) => Metric.update(metric(exit), (performance.now() - began) / 1_000))
  })
