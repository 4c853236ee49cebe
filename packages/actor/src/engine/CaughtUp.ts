import type { Msg, NatsConnection, Subscription } from "@nats-io/nats-core"
import { Codes, Consistency, Envelope, Subject } from "@troupe/contract"
import { Nats } from "@troupe/nats"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Memory } from "./Batch.ts"
import type { Consumer } from "./Consumer.ts"

/** Who waits for one partition at once; more are refused with TRP0311. */
const limit = 1_000
/** ms for which one is kept that does not ask again: callers do so every second. */
const kept = 5_000

/** What is known of a partition after its last commit. */
export type Known = Pick<Memory, "cursors" | "agenda">

/**
 * Whether the subscriber is done with the events of a turn: it committed past their position in the lane, and nothing
 * of their key is parked. In doubt it is not: where it stands in a lane is known from the first event that it read there.
 */
export const isPast = ({ agenda, cursors }: Known, { actor, key, position, service }: Consistency.Place): boolean => {
  const lanes = cursors[Subject.stream("evt", service)]?.lanes
  return (lanes?.[actor] ?? 0) >= position && agenda.key(key) === undefined
}

/** Callers that wait until a partition of a subscriber has caught up. */
export class CaughtUp {
  private readonly consumer: Consumer
  private readonly p: number
  /** Who asked last comes last. */
  private readonly waiting = new Map<string, { readonly place: Consistency.Place; readonly until: number }>()

  constructor(consumer: Consumer, p: number) {
    this.consumer = consumer
    this.p = p
  }

  /** The answer to a caller; none: it waits. `caller` is where it hears the answer, the same when it asks again. */
  ask(caller: string, token: string, known: Known, now: number): Consistency.Answer | undefined {
    const place = Consistency.parse(token)
    if (place === undefined || place.partition !== this.p) return refusal("TRP0214", token.slice(0, 100))
    if (!this.consumer.lanes.has(`${place.service}.${place.actor}`))
      return refusal("TRP0215", `${this.consumer.name} does not listen to ${place.service}.${place.actor}`)
    if (isPast(known, place)) return "done"
    this.forget(now)
    this.waiting.delete(caller)
    if (this.waiting.size >= limit) return refusal("TRP0311", `${limit} wait for ${this.p}`)
    this.waiting.set(caller, { place, until: now + kept })
    return undefined
  }

  /** After a commit: calls `answer` for everybody for whom it is past, and forgets them, and those that gave up. */
  look(known: Known, now: number, answer: (caller: string) => void): void {
    this.forget(now)
    for (const [caller, { place }] of this.waiting) {
      if (!isPast(known, place)) continue
      this.waiting.delete(caller)
      answer(caller)
    }
  }

  /** Everybody who still waits. */
  get callers(): Iterable<string> {
    return this.waiting.keys()
  }

  private forget(now: number): void {
    for (const [caller, { until }] of this.waiting) {
      if (until >= now) return
      this.waiting.delete(caller)
    }
  }
}

const refusal = (code: Codes.Code, detail: string): Consistency.Answer => JSON.stringify({ code, detail })

/**
 * Hears callers of `after` while the partition is ours; the returned function is to be called after each commit. At the
 * end those who wait are told to ask the next owner. Nothing for an actor: it reads no events.
 */
export const serve = (
  consumer: Consumer,
  p: number,
  known: () => Known
): Effect.Effect<() => void, never, Nats | Scope.Scope> =>
  Effect.gen(function* () {
    const subject = consumer.part.kind === "subscriber" ? Consistency.subject(consumer.name, p) : undefined
    if (subject === undefined) return () => {}
    const { connection } = yield* Nats
    const waits = new CaughtUp(consumer, p)
    const answer = (to: string, answer: Consistency.Answer): void => say(connection, to, answer)
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const hear = (error: Error | null, msg: Msg): void => {
      if (error !== null)
        return void run(Effect.logWarning(Codes.text("TRP0211", `${consumer.name}, for who waits`, error.message)))
      const caller = msg.headers?.get("Troupe-Reply-To") || msg.reply
      if (caller === undefined || !Envelope.isReplyTo(caller)) return
      const said = waits.ask(caller, msg.string(), known(), performance.now())
      if (said !== undefined) answer(caller, said)
    }
    yield* Effect.acquireRelease(
      Effect.sync((): Subscription => connection.subscribe(subject, { callback: hear })),
      (subscription) =>
        Effect.sync(() => {
          if (!connection.isClosed()) subscription.unsubscribe()
          for (const caller of waits.callers) answer(caller, "again")
        })
    )
    return () => waits.look(known(), performance.now(), (caller) => answer(caller, "done"))
  })

const say = (connection: NatsConnection, to: string, answer: Consistency.Answer): void => {
  try {
    connection.publish(to, answer)
  } catch {
    // Whoever hears nothing asks again.
  }
}
