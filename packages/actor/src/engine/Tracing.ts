import { Envelope, Reason, Subject } from "@troupe/contract"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Done } from "./Attempt.ts"
import type { Consumer } from "./Consumer.ts"
import type { Delivery } from "./Delivery.ts"

/** Where the spans of turns go. Without it there are none: a turn that nobody traces costs nothing more. */
const TurnTracer = Context.Reference<Tracer.Tracer | undefined>("@troupe/actor/TurnTracer", {
  defaultValue: () => undefined
})

/** Traces turns, and nothing else that the host does, by the tracer that there is; the one of Effect itself, which keeps nothing, is none. */
export const layer: Layer.Layer<never> = Layer.effect(
  TurnTracer,
  Effect.gen(function* () {
    const tracer = yield* Tracer.Tracer
    if (tracer === Tracer.nativeTracer) return undefined
    const clock = yield* Clock.Clock
    return {
      ...tracer,
      // The clock of a handler stands at its message's time; the spans that it makes are as long as they are.
      span: (options) => {
        const span = tracer.span({ ...options, startTime: clock.currentTimeNanosUnsafe() })
        const end = span.end.bind(span)
        span.end = (_, exit) => end(clock.currentTimeNanosUnsafe(), described(exit))
        return span
      }
    } satisfies Tracer.Tracer
  })
)

/** Exporters read whatever an error has, with code of the error: handlers fail with anything. */
const described = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return exit
  const error = new Error(Reason.text(exit.cause))
  const name = Reason.get(Cause.squash(exit.cause), "name")
  if (typeof name === "string" && name !== "") error.name = name.slice(0, 100)
  error.stack = Reason.full(exit.cause)
  return Exit.die(error)
}

/**
 * Runs a turn in a span of its own, below that of whoever sent its message; what the turn stages goes on from there. A
 * run that is not kept, since it has to be done again, leaves no span. The key is not in it: it may be a person's.
 */
export const turn = <E, R>(
  consumer: Consumer,
  delivery: Delivery,
  run: (delivery: Delivery) => Effect.Effect<Done, E, R>
): Effect.Effect<Done, E, R> =>
  Effect.flatMap(TurnTracer, (tracer) => {
    if (tracer === undefined) return run(delivery)
    const { envelope, incoming } = delivery
    const parent = Option.map(Option.fromUndefinedOr(Envelope.readTraceparent(envelope.traceparent)), (sender) =>
      Tracer.externalSpan(sender)
    )
    const span = tracer.span({
      name: delivery.type,
      kind: "consumer",
      parent,
      root: Option.isNone(parent),
      sampled: Option.match(parent, { onNone: () => true, onSome: ({ sampled }) => sampled }),
      annotations: Context.empty(),
      links: [],
      startTime: 0n
    })
    const attributes = {
      "messaging.system": "nats",
      "messaging.operation.type": "process",
      "messaging.operation.name": "handle",
      "messaging.destination.name": incoming.stream,
      "messaging.destination.partition.id": String(Subject.parse(incoming.message.subject)?.partition ?? ""),
      "messaging.consumer.group.name": consumer.name,
      "messaging.message.id": envelope.id,
      "messaging.message.conversation_id": envelope.correlationId ?? envelope.id
    }
    for (const [name, value] of Object.entries(attributes)) span.attribute(name, value)
    const traced = { ...delivery, envelope: { ...envelope, traceparent: Envelope.traceparent(span) } }
    return run(traced).pipe(
      Effect.withParentSpan(span),
      Effect.provideService(Tracer.Tracer, tracer),
      Effect.tap(({ dead, outcome }) =>
        Effect.sync(() => {
          span.attribute("troupe.outcome", dead === undefined ? (outcome ?? "event") : "dead")
          if (dead !== undefined) span.attribute("error.type", dead.code)
          span.end(0n, dead === undefined ? Exit.void : Exit.die(`${dead.code} ${dead.reason.split("\n")[0]}`))
        })
      )
    )
  })
