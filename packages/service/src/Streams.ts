import type { Consumer, Partition } from "@troupe/actor/engine"
import { Codes, Subject } from "@troupe/contract"
import { Consumers, History, Nats, type NatsError, Topology } from "@troupe/nats"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

/** Whose streams are looked at, and what is purged from them. */
export interface Options {
  readonly service: string
  readonly partitions: ReadonlyArray<Partition.Progress<Pick<Consumer.Consumer, "id" | "name" | "sources">>>
  readonly commandsKept: Duration.Input
  /** Creates those that are not there. */
  readonly ensure: Effect.Effect<void, NatsError, Nats>
  /** Between looks. Default 5 seconds. */
  readonly interval?: Duration.Input
  /** Between looks at all consumers. Default 1 minute. */
  readonly listing?: Duration.Input
}

/** The service's own streams, as they were at the last look. */
export interface Streams {
  readonly sizes: () => ReadonlyArray<Size>
  /** What an operator must know of them, each with its code. */
  readonly trouble: () => ReadonlyArray<string>
}

export interface Size {
  readonly stream: string
  readonly bytes: number
  /** 0: none. */
  readonly limit: number
  readonly consumers: number
}

/** From this part of its bytes on, handled commands are purged whatever their age, down to `roomy`. */
const short = 0.5
const roomy = 0.4
/** From this part of its bytes on, a stream of commands is said to be full soon. */
const nearlyFull = 0.8
/** How often commands are purged that are older than their history. */
const routine = Duration.toMillis("10 minutes")
/** How often the same trouble is logged at most, ms. */
const patience = { usual: 60_000, steady: 3_600_000 }

/**
 * Looks at the service's streams every 5 s. Handled commands are purged once they are older than `commandsKept`; when
 * the stream is more than half full the oldest of them at once, down to 40 % of its bytes. Each host purges the lanes
 * that it owns. Unhandled commands are never purged: from 80 % on they are trouble (TRP0406), before senders are refused.
 * A stream that is gone is created anew (TRP0430); one that was changed so that it loses messages is trouble (TRP0403).
 * Of events it tells which ones retention deletes too early (TRP0415), and whose subscriber it is about to pass (TRP0416).
 * Once a minute it looks at the consumers: it tells those that Troupe did not make (TRP0423), and when there are nearly as many
 * as the stream may have (TRP0424).
 */
export const keep = (options: Options): Effect.Effect<Streams, never, Nats | Scope.Scope> =>
  Effect.gen(function* () {
    const { connection } = yield* Nats
    let sizes: ReadonlyArray<Size> = []
    let trouble: ReadonlyArray<string> = []
    const told = new Map<string, number>()
    const tell = (code: Codes.Code, to: string, why: string, every = patience.usual): Effect.Effect<string> =>
      Effect.suspend(() => {
        const text = Codes.text(code, to, why)
        const now = performance.now()
        if (now - (told.get(code + to) ?? -Infinity) < every) return Effect.succeed(text)
        told.set(code + to, now)
        return Effect.as(Effect.logWarning(text), text)
      })

    /** Consumers of other origin, by stream. */
    const strangers = new Map<string, string>()
    const look = Effect.gen(function* () {
      const found: Array<string> = []
      const commands = yield* purged(options, tell)
      const events = yield* Topology.find(Subject.stream("evt", options.service))
      const places = yield* Topology.find(Subject.stream("place", options.service))
      found.push(...(yield* created(options, tell, { cmd: commands, evt: events, place: places })))
      sizes = [commands, events, places].flatMap((info) => (info === undefined ? [] : [sizeOf(info)]))
      if (commands !== undefined && used(commands) >= nearlyFull)
        found.push(
          yield* tell(
            "TRP0406",
            commands.config.name,
            `${percent(commands)} of ${limitOf(commands)} are commands that wait`
          )
        )
      if (places !== undefined && used(places) >= nearlyFull)
        found.push(yield* tell("TRP0406", places.config.name, `${percent(places)} of ${limitOf(places)} are places`))
      if (events !== undefined) {
        const [holds, wanted] = [yield* holdsFor(events), events.config.max_age / 1e6]
        const why = () => `its ${limitOf(events)} hold those of ${shown(holds)}, not of ${shown(wanted)}`
        if (used(events) >= nearlyFull && wanted > 0 && holds < 0.9 * wanted)
          yield* tell("TRP0415", events.config.name, why(), patience.steady)
      }
      for (const { consumer, stream, why } of yield* overtaken(options, events))
        found.push(yield* tell("TRP0416", `${stream}, read by ${consumer}`, why))
      for (const info of [commands, events]) {
        const scarce = info === undefined ? undefined : Consumers.scarce(info)
        if (info !== undefined && scarce !== undefined) found.push(yield* tell("TRP0424", info.config.name, scarce))
      }
      for (const [stream, why] of strangers) found.push(yield* tell("TRP0423", stream, why, patience.steady))
      trouble = found
    })
    // A user of an older policy may not list them: that is told by TRP0413.
    const list = Effect.forEach(["cmd", "evt"] as const, (kind) => {
      const stream = Subject.stream(kind, options.service)
      const seen = Effect.map(Consumers.look(stream), (seen) => {
        if (seen.foreign > 0) strangers.set(stream, Consumers.says(seen))
        else strangers.delete(stream)
      })
      return Effect.ignore(seen)
    })
    const failed = ({ message }: NatsError) => {
      const now = performance.now()
      // While the broker is away that is told already.
      if (connection.info === undefined || now - (told.get("look") ?? -Infinity) < patience.usual) return Effect.void
      told.set("look", now)
      return Effect.logWarning(message)
    }
    yield* list.pipe(Effect.repeat(Schedule.spaced(options.listing ?? "1 minute")), Effect.forkScoped)
    yield* Effect.catch(look, failed).pipe(
      Effect.repeat(Schedule.spaced(options.interval ?? "5 seconds")),
      Effect.forkScoped
    )
    return { sizes: () => sizes, trouble: () => trouble }
  })

type Progress = Options["partitions"][number]
type Tell = (code: Codes.Code, to: string, why: string) => Effect.Effect<string>

/** Has streams that are gone created anew, and tells what is wrong with the others. Answers the trouble. */
const created = (
  { ensure, service }: Options,
  tell: Tell,
  streams: { readonly [kind in Subject.Kind | "place"]: Topology.Info | undefined }
): Effect.Effect<ReadonlyArray<string>, NatsError, Nats> =>
  Effect.gen(function* () {
    const trouble: Array<string> = []
    for (const kind of ["cmd", "evt", "place"] as const) {
      const info = streams[kind]
      if (info === undefined)
        trouble.push(yield* tell("TRP0430", Subject.stream(kind, service), "a running host needs it"))
      else if (kind !== "place") {
        const partitions = Topology.partitionsOf(info.config) ?? 0
        const wrong = Topology.differences(info.config, kind, service, partitions)
        if (wrong.length > 0) trouble.push(yield* tell("TRP0403", info.config.name, wrong.join("; ")))
      }
    }
    if (Object.values(streams).some((info) => info === undefined)) yield* ensure
    return trouble
  })

const purgedAt = new WeakMap<Progress, number>()

/** The stream of commands, once what can be purged is. */
const purged = (options: Options, tell: Tell): Effect.Effect<Topology.Info | undefined, NatsError, Nats> =>
  Effect.gen(function* () {
    const name = Subject.stream("cmd", options.service)
    const purge = (progress: Progress, upTo?: number, first = 0) =>
      Effect.gen(function* () {
        let count = 0
        for (const { claimed, filter, stream } of progress.consumer.sources) {
          const cursor = progress.cursors[stream]
          const sized = upTo === undefined ? {} : { upTo }
          // What is for no actor is nobody's lane.
          if (stream === name && cursor !== undefined && claimed === undefined && cursor.seq > first)
            count += yield* History.purge({
              stream,
              filter: filter(progress.p),
              kept: options.commandsKept,
              cursor,
              ...sized
            })
        }
        return count
      })
    const owned = options.partitions.filter(({ ready }) => ready)
    const now = performance.now()
    for (const progress of owned) {
      if (now - (purgedAt.get(progress) ?? -Infinity) < routine) continue
      purgedAt.set(progress, now)
      yield* purge(progress)
    }
    let info = yield* Topology.find(name)
    if (info === undefined || used(info) <= short) return info
    let count = 0
    // Where the oldest are not handled, or are another host's, it takes more of the stream to make the same room.
    for (let factor = 1; used(info) > roomy; factor *= 2) {
      const { first_seq: first, last_seq: last } = info.state
      const part = Math.min(1, factor * (1 - roomy / used(info)))
      const upTo = first + Math.ceil(part * (last - first + 1))
      for (const progress of owned) count += yield* purge(progress, upTo, first)
      info = (yield* Topology.find(name)) ?? info
      if (part === 1) break
    }
    if (count > 0) {
      const age = (yield* Clock.currentTimeMillis) - Date.parse(info.state.first_ts)
      yield* tell("TRP0414", name, `${count} were purged to make room; the oldest one left is of ${shown(age)} ago`)
    }
    return info
  })

/** Subscribers of this host that are behind, and near to what retention deletes next. */
const overtaken = (options: Options, own: Topology.Info | undefined) =>
  Effect.gen(function* () {
    const looked = new Map([[own?.config.name ?? "", own]])
    const found: Array<{ readonly consumer: string; readonly stream: string; readonly why: string }> = []
    for (const { consumer, cursors, p, pending, ready } of options.partitions) {
      for (const { kind, stream } of consumer.sources) {
        if (kind !== "evt" || !ready || (pending[stream] ?? 0) === 0) continue
        if (!looked.has(stream)) looked.set(stream, yield* Topology.find(stream))
        const info = looked.get(stream)
        if (info === undefined || !(yield* deletes(info))) continue
        const { first_seq: first, last_seq: last } = info.state
        const seq = cursors[stream]?.seq ?? 0
        if (seq < first + 0.1 * (last - first))
          found.push({
            consumer: consumer.name,
            stream,
            why: `partition ${p} is at ${seq}, the stream begins at ${first}`
          })
      }
    }
    return found
  })

const deletes = (info: Topology.Info) =>
  Effect.gen(function* () {
    const { max_age: age } = info.config
    if (used(info) >= 0.95) return true
    const oldest = (yield* Clock.currentTimeMillis) - Date.parse(info.state.first_ts)
    return age > 0 && info.state.messages > 0 && oldest >= 0.9 * (age / 1e6)
  })

/** The time, ms, of which a stream that was full would hold what is published, at the rate of what it holds now. */
const holdsFor = (info: Topology.Info) =>
  Effect.map(Clock.currentTimeMillis, (now) => (now - Date.parse(info.state.first_ts)) / Math.max(used(info), 0.01))

const sizeOf = ({ config, state }: Topology.Info): Size => ({
  stream: config.name,
  bytes: state.bytes,
  limit: Math.max(0, config.max_bytes),
  consumers: state.consumer_count
})
const used = (info: Topology.Info): number => (info.config.max_bytes > 0 ? info.state.bytes / info.config.max_bytes : 0)
const percent = (info: Topology.Info): string => `${Math.round(100 * used(info))} %`
const limitOf = ({ config }: Topology.Info): string => `${config.max_bytes} bytes`
const shown = (ms: number): string => {
  const hours = ms / 3_600_000
  return hours >= 48
    ? `${Math.round(hours / 24)} days`
    : hours >= 2
      ? `${Math.round(hours)} hours`
      : `${Math.round(ms / 60_000)} minutes`
}
