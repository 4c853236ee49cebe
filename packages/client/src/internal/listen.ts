import { DeliverPolicy, jetstream, JetStreamApiCodes, JetStreamApiError, type JsMsg } from "@nats-io/jetstream"
import { PermissionViolationError } from "@nats-io/nats-core"
import { Account, type Contract, Envelope, type Event, EventWire, Subject } from "@troupe/contract"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ClientError, NotAllowed, NotConnected } from "../ClientError.ts"
import type { Link } from "./Link.ts"

/** Events that the server sends ahead of the reader; they wait in memory. */
const ahead = 256

const skipped = Metric.counter("troupe_client_events_skipped", {
  description: "Events that a subscription could not read: of a newer contract, or of no contract",
  incremental: true
})

/** Events of these kinds from now on, one reader per service. */
export const listen = (link: Link, refs: ReadonlyArray<Contract.AnyEventRef>): Stream.Stream<Event, ClientError> => {
  const byService = new Map<string, Map<string, EventWire.EventWire>>()
  for (const { definition, type } of refs) {
    const service = type.slice(0, type.indexOf("."))
    const wires = byService.get(service) ?? new Map<string, EventWire.EventWire>()
    byService.set(service, wires.set(type, EventWire.make(definition)))
  }
  return Stream.mergeAll(
    [...byService].map(([service, wires]) => read(link, service, wires)),
    {
      concurrency: "unbounded",
      bufferSize: 1
    }
  )
}

const read = (
  link: Link,
  service: string,
  wires: ReadonlyMap<string, EventWire.EventWire>
): Stream.Stream<Event, ClientError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const stream = Subject.stream("evt", service)
      const denied = yield* Deferred.make<never, ClientError>()
      const apiPrefix = Account.api(link.account, service)
      const messages = yield* consume(link, stream, apiPrefix, denied)
      let unread = 0
      return Stream.fromAsyncIterable(messages, (cause) => failed(link, stream, cause)).pipe(
        Stream.mapEffect((msg) => {
          const event = decode(msg, wires)
          if (event === undefined || !("why" in event)) return Effect.succeed(event)
          unread++
          // A newer contract may send many of them: say it at the 1st, 2nd, 4th, 8th ...
          const said =
            (unread & (unread - 1)) === 0
              ? Effect.logWarning(`${stream}: skipped ${msg.subject}: ${event.why}`, { skipped: unread })
              : Effect.void
          return Metric.update(skipped, 1).pipe(Effect.andThen(said), Effect.as(undefined))
        }),
        Stream.filter((event) => event !== undefined),
        Stream.interruptWhen(Deferred.await(denied))
      )
    })
  )

/** An ordered consumer from the stream's end. It has no filter: one with a wildcard costs the server time for every subject it keeps (facts: 50-100x). */
const consume = Effect.fnUntraced(function* (
  link: Link,
  stream: string,
  apiPrefix: string,
  denied: Deferred.Deferred<never, ClientError>
): Effect.fn.Return<AsyncIterable<JsMsg>, ClientError, Scope.Scope> {
  const refusal = link.refusal()
  if (refusal !== undefined) return yield* new ClientError({ to: stream, reason: refusal })
  const attempt = <A>(run: () => Promise<A>) =>
    Effect.tryPromise({ try: run, catch: (cause) => failed(link, stream, cause) })
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      link.onViolation((subject) => {
        if (!subject.startsWith(`${apiPrefix}.CONSUMER.`) || !subject.includes(`.${stream}.`)) return
        Deferred.doneUnsafe(denied, Effect.fail(new ClientError({ to: stream, reason: new NotAllowed({ subject }) })))
      })
    ),
    (stop) => Effect.sync(stop)
  )
  const consumer = yield* Effect.acquireRelease(
    attempt(() => jetstream(link.nc, { apiPrefix }).consumers.get(stream, { deliver_policy: DeliverPolicy.New })),
    // The server forgets it after 5 minutes by itself.
    (consumer) => Effect.ignore(attempt(() => consumer.delete()))
  )
  // Without a place to go on from, a consumer that is made again before its first message would begin with the stream's first.
  const info = yield* attempt(() => consumer.info(true))
  info.config.opt_start_seq = info.delivered.stream_seq + 1
  return yield* Effect.acquireRelease(
    attempt(() => consumer.consume({ max_messages: ahead, expires: 10_000, idle_heartbeat: 1_000 })),
    (messages) => Effect.promise(() => messages.close())
  )
})

/** The event of a message; `undefined` when it is none of those asked for. */
const decode = (
  msg: JsMsg,
  wires: ReadonlyMap<string, EventWire.EventWire>
): Event | { readonly why: string } | undefined => {
  const subject = Subject.parse(msg.subject)
  if (subject === undefined) return { why: "its key is not canonical" }
  const type = `${subject.service}.${subject.actor}.${subject.name}`
  const wire = wires.get(type)
  if (wire === undefined) return undefined
  const envelope = Envelope.fromHeaders((name) => msg.headers?.get(name))
  if ("why" in envelope) return envelope
  if (envelope.type !== type || (envelope.key ?? subject.key) !== subject.key)
    return { why: "subject and envelope disagree" }
  const payload = wire.decode(msg.string(), envelope.version ?? 1)
  if (!payload.ok) return payload
  return {
    type,
    key: subject.key,
    payload: payload.value,
    id: envelope.id,
    time: envelope.time ?? msg.timestamp,
    lane: `${subject.service}.${subject.actor}`,
    position: envelope.position ?? 0,
    correlationId: envelope.correlationId ?? envelope.id,
    causationId: envelope.causationId
  }
}

const failed = (link: Link, stream: string, cause: unknown): ClientError => {
  const refusal = link.refusal()
  if (refusal !== undefined) return new ClientError({ to: stream, reason: refusal })
  const violation = find(cause, PermissionViolationError)
  if (violation !== undefined)
    return new ClientError({ to: stream, reason: new NotAllowed({ subject: violation.subject }) })
  const detail =
    cause instanceof JetStreamApiError && cause.code === JetStreamApiCodes.StreamNotFound
      ? `there is no stream ${stream}: is the service deployed?`
      : cause instanceof Error
        ? cause.message
        : String(cause)
  return new ClientError({ to: stream, reason: new NotConnected({ detail }) })
}

const find = <E extends Error>(cause: unknown, type: new (...args: Array<never>) => E): E | undefined =>
  cause instanceof type
    ? cause
    : cause instanceof Error && cause.cause !== undefined
      ? find(cause.cause, type)
      : undefined
