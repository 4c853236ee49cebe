import { type Contract, Envelope, type Event, EventWire, Key, Subject, Text } from "@troupe/contract"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import { BadKey, ClientError, Rejected } from "../ClientError.ts"
import type { Link } from "./Link.ts"
import * as Place from "./Place.ts"
import { failure, type Read } from "./Reader.ts"
import { Source } from "./Source.ts"

/** From where on events are read, and which. */
export interface SubscribeOptions {
  /** Only events of this actor. Then only its partition is read. */
  readonly key?: string
  /**
   * Where to begin when there is no place to go on from: `now` (the default), the first event that is there, or the first
   * one at a time, of 1970 to 2262, or at a sequence of the stream, from 1, and after it.
   */
  readonly from?: "now" | "start" | Date | number
  /** Goes on after the event that had this `place`, of a subscription to the same services. */
  readonly after?: string
  /**
   * Keeps the place under this name (lower case, digits and `-`, at most 40), so that whoever subscribes under it next goes on
   * there. It belongs to this client's `name`. A new one begins at `after` or `from`.
   */
  readonly durable?: string
  /**
   * What to do when reading cannot go on, because events were deleted before they were read or because the stream lost some
   * that it had acknowledged: `fail` with `PlaceLost` (the default), or `rewind`, to the first event that is there or to five
   * minutes before the last one: some come twice then.
   */
  readonly whenLost?: "fail" | "rewind"
  /** Called once, when it reads: no event after `place` is missed. */
  readonly onOpen?: (place: string) => void
}

/** An event as a subscription yields it. */
export interface Placed {
  /**
   * Where this event stands: subscribe with it as `after` to go on behind it. Printable, without spaces, nothing in it needs
   * escaping in a header or a URL; about 40 characters for each service.
   */
  readonly place: string
}

const skipped = Metric.counter("troupe_client_events_skipped", {
  description: "Events that a subscription could not read: of a newer contract, or of no contract",
  incremental: true
})

/** Events of these kinds, one reader for each service. */
export const listen = (
  link: Link,
  caller: string,
  refs: ReadonlyArray<Contract.AnyEventRef>,
  options: SubscribeOptions
): Stream.Stream<Event & Placed, ClientError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { after, durable, from = "now", key, onOpen, whenLost = "fail" } = options
      if (refs.length === 0) return yield* Effect.die(new TypeError("there is no kind of event to subscribe to"))
      if (from instanceof Date ? !isTime(from.getTime()) : typeof from === "number" && !isSequence(from))
        return yield* Effect.die(new TypeError(`${from} is no time and no sequence to subscribe from`))
      if (durable !== undefined) yield* named("durable", durable)
      if (durable !== undefined) yield* named("name", caller)
      const token = key === undefined ? undefined : Key.encode(key)
      if (key !== undefined && token === undefined)
        return yield* new ClientError({ to: "events", reason: new BadKey({ key }) })
      const places = after === undefined ? undefined : Place.parse(after)
      const bell = new Bell()
      const sources: Array<Source> = []
      for (const [service, wires] of byService(refs)) {
        const place = places?.get(service)
        if (after !== undefined && place === undefined) return yield* unreadable(after, service)
        const source = yield* Effect.acquireRelease(
          Effect.sync(
            () =>
              new Source(link, service, wires, {
                token,
                from: place ?? from,
                whenLost,
                durable: durable === undefined ? undefined : { caller, name: durable },
                wake: bell.ring
              })
          ),
          (source) => Effect.promise(() => source.close())
        )
        yield* Effect.tryPromise({ try: () => source.open(), catch: (cause) => failure(source.stream, cause) })
        sources.push(source)
      }
      // Not before all can be read: whoever had a place goes on where this one fails.
      for (const source of sources)
        yield* Effect.tryPromise({ try: () => source.claim(), catch: (cause) => failure(source.stream, cause) })
      onOpen?.(placeOf(sources))
      return Stream.fromEffectRepeat(events(link, sources, bell))
    })
  )

const placeOf = (sources: ReadonlyArray<Source>): string =>
  Place.format(new Map(sources.map(({ at, service }) => [service, at])))

const byService = (
  refs: ReadonlyArray<Contract.AnyEventRef>
): ReadonlyMap<string, ReadonlyMap<string, EventWire.EventWire>> => {
  const services = new Map<string, Map<string, EventWire.EventWire>>()
  for (const { definition, type } of refs) {
    const service = type.slice(0, type.indexOf("."))
    const wires = services.get(service) ?? new Map<string, EventWire.EventWire>()
    services.set(service, wires.set(type, EventWire.make(definition)))
  }
  return services
}

/** nats-server counts ns of Unix time in 64 bits: what is beyond wraps, and would begin at the start. */
const isTime = (ms: number): boolean => ms >= 0 && ms <= Number(2n ** 63n / 1_000_000n)

const isSequence = (from: number): boolean => Number.isSafeInteger(from) && from >= 1

const named = (what: string, name: string): Effect.Effect<void> =>
  /^[a-z][a-z0-9-]{0,39}$/.test(name)
    ? Effect.void
    : Effect.die(
        new TypeError(`"${name}" is no ${what} for a durable subscription: lower case, digits and -, at most 40`)
      )

const unreadable = (after: string, service: string): ClientError =>
  new ClientError({
    to: service,
    reason: new Rejected({ code: "TRP0216", detail: `it names no place in ${service}: ${after.slice(0, 100)}` })
  })

/** Rings when something may have come; a ring that nobody waits for is kept. */
class Bell {
  private rung = false
  private wake: (() => void) | undefined
  readonly ring = (): void => {
    this.rung = true
    this.wake?.()
  }
  readonly wait: Effect.Effect<void> = Effect.callback((resume) => {
    const done = (): void => {
      this.rung = false
      this.wake = undefined
      resume(Effect.void)
    }
    if (this.rung) return done()
    this.wake = done
    return Effect.sync(() => {
      this.wake = undefined
    })
  })
}

/** The next event; asking for it says that the one before is handled. */
const events = (
  link: Link,
  sources: ReadonlyArray<Source>,
  bell: Bell
): Effect.Effect<Event & Placed, ClientError | Cause.Done> => {
  let given: Source | undefined
  let turn = 0
  let unread = 0
  /** One of each service in turn; `undefined` when there is none. */
  const take = (): { readonly source: Source; readonly read: Read } | ClientError | "closed" | undefined => {
    for (let i = 0; i < sources.length; i++) {
      const source = sources[(turn + i) % sources.length]
      if (source === undefined) break
      const read = source.take()
      if (read instanceof ClientError || read === "closed") return read
      if (read === undefined) continue
      turn = (turn + i + 1) % sources.length
      return { source, read }
    }
    return undefined
  }
  return Effect.gen(function* () {
    const { elsewhere } = link
    if (elsewhere !== undefined) return yield* new ClientError({ to: "events", reason: elsewhere })
    given?.handled()
    given = undefined
    while (true) {
      const next = take()
      if (next === "closed") return yield* Cause.done()
      if (next instanceof ClientError) return yield* next
      if (next === undefined) {
        yield* bell.wait
        continue
      }
      const event = decode(next.read, next.source.wires)
      if (event !== undefined && !("why" in event)) {
        given = next.source
        return { ...event, place: placeOf(sources) }
      }
      next.source.handled()
      if (event === undefined) continue
      yield* Metric.update(skipped, 1)
      unread++
      // A newer contract may send many of them: say it at the 1st, 2nd, 4th, 8th ...
      if ((unread & (unread - 1)) === 0)
        yield* Effect.logWarning(`${next.source.stream}: skipped ${Text.line(next.read.msg.subject)}: ${event.why}`, {
          skipped: unread
        })
    }
  })
}

/** The event of a message; `undefined` when it is none of those asked for. */
const decode = (
  { msg, place }: Read,
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
    time: envelope.time ?? new Date(place.at).toISOString(),
    lane: `${subject.service}.${subject.actor}`,
    position: envelope.position ?? 0,
    correlationId: envelope.correlationId ?? envelope.id,
    causationId: envelope.causationId
  }
}
