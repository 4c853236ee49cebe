import { hostname } from "node:os"
import {
  Agendas,
  Board,
  Committer,
  Consumer,
  DeadLetters,
  Deadlines,
  EdgeCall,
  LastWords,
  Loader,
  type ParkingPolicy,
  Partition
} from "@troupe/actor/engine"
import { Codes } from "@troupe/contract"
import { type Capabilities, Mark, Nats, type NatsError, redactedUrl as redactedNats, Topology } from "@troupe/nats"
import { Adopter, Pruner } from "@troupe/outbox"
import { Db, Migrations, type PostgresError, Sql } from "@troupe/postgres"
import { failure, Lease, Ownership, redactedUrl, Session, unreached } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Clocks from "./Clocks.ts"
import type * as Endpoints from "./Endpoints.ts"
import * as Face from "./Face.ts"
import * as Guard from "./guard/Guard.ts"
import * as Health from "./Health.ts"
import * as Identity from "./Identity.ts"
import * as Membership from "./Membership.ts"
import * as Metrics from "./Metrics.ts"
import { unproven } from "./patterns.ts"
import * as Servers from "./Servers.ts"
import * as Starting from "./Starting.ts"
import * as Streams from "./Streams.ts"
import * as Tracing from "./Tracing.ts"
import * as Removed from "./Removed.ts"
import * as Uncaught from "./Uncaught.ts"
import type { Service } from "./Service.ts"

/** Why a host could not start; its message is for a person. */
export type HostError = NatsError | PostgresError | Endpoints.EndpointsError

/** Where a host runs, and within which limits. */
export interface Options {
  readonly natsUrl: Redacted.Redacted
  /** A creds file, read anew whenever the connection is made. With an account for each service it says which one. */
  readonly natsCreds?: string | undefined
  /** The service's own database, migrated. */
  readonly databaseUrl: Redacted.Redacted
  /** Of `/livez`, `/readyz`, `/startupz` and `/metrics`; port 0 takes a free one. */
  readonly http: { readonly host: string; readonly port: number }
  /** How long the end may take: what is at hand is finished, nothing new is read. Default 10 seconds. */
  readonly drain?: Duration.Input
  /** Of the service's streams. What is set here is also given to streams that exist; what is not stays as it is there. */
  readonly limits?: Partial<Topology.Limits>
  /** How often and when a message that fails is tried again, and how much may wait behind it. */
  readonly parking?: Partial<ParkingPolicy>
  /** Maximum dead letters of each consumer, in messages (default 10,000) and bytes (256 MiB). Each partition has its share. */
  readonly deadLetters?: Partial<DeadLetters.Limits>
  /** Lowers what the server says of itself: for tests. */
  readonly capabilities?: Partial<Capabilities>
  /** Between the heartbeats of this host: 50 ms to 10 seconds. Default 1 second. */
  readonly heartbeat?: Duration.Input
  /**
   * How long a heartbeat counts: a host that freezes for longer is replaced. Three heartbeats to 1 minute. Default 5
   * seconds.
   */
  readonly lease?: Duration.Input
  /**
   * How long the event loop may stand still: after `noteAfter` (default 1 second) the messages that run are noted in case
   * they end the process; after `endAfterCpu` of CPU time (10 seconds), or `endAfter` of any time (30 seconds), the
   * process is ended by SIGKILL and another host takes over. Time in which the process was stopped does not count.
   * `noteAfter` is 200 ms or more, and no longer than the other two.
   */
  readonly guard?: {
    readonly noteAfter?: Duration.Input
    readonly endAfterCpu?: Duration.Input
    readonly endAfter?: Duration.Input
    /** The line that says so is JSON: it cannot pass through a logger. Default false. */
    readonly json?: boolean
  }
  /**
   * The program's own listener for `uncaughtException`: the host takes its place while it runs, and ends the process upon
   * an exception that no handler caused. Without it the host does that only where nobody else listens.
   */
  readonly onUncaught?: (error: unknown) => void
}

/** One process that runs a service, and owns its share of the partitions of each consumer among all that do. */
export class Host extends Context.Service<
  Host,
  {
    /** Where `/livez`, `/readyz`, `/startupz` and `/metrics` answer. */
    readonly url: string
    readonly health: Effect.Effect<Health.Health>
  }
>()("@troupe/service/Host") {
  /**
   * Starts the service: waits for both servers, checks them and the schema, makes or checks its streams, takes its share
   * of the partitions. Its endpoints answer from the beginning. Ends by draining: reading stops, what is at hand is
   * committed and answered, the partitions are given back for others to take at once; meanwhile it is not ready, and
   * says so. While it runs, an uncaught exception from a handler's timer or socket fails the turn that is still waiting, or
   * is logged if that turn has ended; an unhandled rejection is logged. Neither ends the process, since the next host would
   * read the same message. An uncaught exception that no handler caused ends it. Fails with TRP0108 for a pattern, among all
   * that it reads messages and states by, that could stop the host.
   */
  static readonly layer = (service: Service, options: Options): Layer.Layer<Host, HostError> =>
    Layer.unwrap(
      Effect.gen(function* () {
        const { bounds, heartbeat, lease } = yield* timing(options)
        const slow = unproven(service)
        if (slow !== undefined) return yield* failure("TRP0108", slow.at, slow.pattern)
        const face = yield* Face.open(service.name, options.http)
        const id = SecureRandom.uuidV4Unsafe()
        const applicationName = Ownership.applicationName(id)
        const servers = Layer.mergeAll(
          Nats.layer({
            url: options.natsUrl,
            creds: options.natsCreds,
            name: service.name,
            // The only one that its user may hear: docs/permissions.md.
            inboxPrefix: `_INBOX.${service.name}`,
            capabilities: options.capabilities ?? {}
          }),
          // Before the client gives up its connection, and all that waits there with it.
          Sql.layer({ url: options.databaseUrl, max: 8, applicationName, statementTimeout: 14_000 }),
          // A statement that waits for longer than a handler may take is ended, and its turn fails.
          Db.layer({ url: options.databaseUrl, max: 4, applicationName, statementTimeout: 5_000, turns: true })
        )
        const guard = yield* Guard.make({
          name: `${service.name}, process ${process.pid}`,
          databaseUrl: options.databaseUrl,
          heartbeat,
          lease,
          bounds,
          json: options.guard?.json ?? false
        })
        const started = Layer.effect(Host, start(service, options, { id, heartbeat, lease, guard, face })).pipe(
          Layer.provide(
            Layer.mergeAll(
              Committer.layer,
              Loader.layer,
              Agendas.layer(options.parking),
              Deadlines.layer,
              Tracing.layer(service.name)
            )
          ),
          Layer.provide(servers),
          Layer.provide(
            Layer.mergeAll(
              Layer.succeed(Lease.Lease, guard.lease),
              Layer.succeed(Board, guard.board),
              Layer.succeed(LastWords, guard.lastWords)
            )
          )
        )
        return Layer.effectContext(Starting.patiently(started, face))
      })
    )
}

/** How this host lives, in ms. */
interface Life {
  readonly id: string
  readonly heartbeat: number
  readonly lease: number
  readonly guard: Guard.Guard
  readonly face: Face.Face
}

const timing = (
  options: Options
): Effect.Effect<Pick<Life, "heartbeat" | "lease"> & Pick<Guard.Options, "bounds">, PostgresError> =>
  Effect.suspend(() => {
    const heartbeat = Duration.toMillis(options.heartbeat ?? "1 second")
    const lease = Duration.toMillis(options.lease ?? "5 seconds")
    if (!(heartbeat >= 50 && heartbeat <= 10_000))
      return failure("TRP0101", "heartbeat", `${heartbeat} ms is not between 50 ms and 10 seconds`)
    if (!(lease >= 3 * heartbeat && lease <= 60_000))
      return failure("TRP0101", "lease", `${lease} ms is not between three heartbeats and 1 minute`)
    const bounds = {
      noteAfter: Duration.toMillis(options.guard?.noteAfter ?? "1 second"),
      endAfterCpu: Duration.toMillis(options.guard?.endAfterCpu ?? "10 seconds"),
      endAfter: Duration.toMillis(options.guard?.endAfter ?? "30 seconds")
    }
    if (!(bounds.noteAfter >= 200 && bounds.noteAfter <= Math.min(bounds.endAfterCpu, bounds.endAfter)))
      return failure("TRP0101", "guard", `noteAfter, ${bounds.noteAfter} ms, is not between 200 ms and the other two`)
    return Effect.succeed({ heartbeat, lease, bounds })
  })

const start = (
  service: Service,
  options: Options,
  { face, guard, heartbeat, id, lease }: Life
): Effect.Effect<Host["Service"], HostError, Sql | Db | Nats | Committer | Loader | Agendas | Scope.Scope> =>
  Effect.gen(function* () {
    yield* Uncaught.watch(options.onUncaught)
    for (const actor of service.actors) {
      const why = "edge" in actor ? EdgeCall.unfit(actor) : undefined
      if (why !== undefined) return yield* failure("TRP0101", `the edge of ${actor.ref.name}`, why)
    }
    const limits = { ...Topology.limits, ...options.limits }
    const few = Object.entries(options.deadLetters ?? {}).find(([, n]) => !(Number.isSafeInteger(n) && n >= 1))
    if (few !== undefined)
      return yield* failure("TRP0101", `deadLetters.${few[0]}`, `${few[1]} is no whole number above 0`)
    const wrong = Topology.mistake(limits)
    if (wrong !== undefined) return yield* failure("TRP0101", "the limits of the streams", wrong)
    const sql = yield* Sql
    const { connection } = yield* Nats
    const where = redactedUrl(options.databaseUrl)
    const servers = { nats: redactedNats(options.natsUrl), database: where }
    yield* Servers.watch(servers)
    yield* Migrations.check(sql, where)
    yield* Session.check({ url: options.databaseUrl, applicationName: Ownership.applicationName(id) })
    yield* tellRisk(where)
    const mark = yield* Identity.ofDatabase(service.name, where)
    const marked = { set: options.limits, metadata: Mark.metadata(mark) }
    const ensure = Effect.gen(function* () {
      yield* Topology.ensure("cmd", service.name, limits, marked)
      yield* Topology.ensure("evt", service.name, limits, marked)
      yield* Identity.ofStreams(service.name, mark)
      yield* Topology.ensurePlaces(service.name, limits.replicas, options.limits)
    })
    yield* ensure

    const number = (name: string) => register(options, name, limits.partitions)
    const consumers = [
      ...(yield* Effect.forEach(service.actors, (actor) =>
        Effect.map(number(actor.ref.name), (id) => Consumer.ofActor(service.contract, actor, id))
      )),
      ...(yield* Effect.forEach(service.subscribers, (subscriber) =>
        Effect.map(number(`${service.name}.${subscriber.name}`), (id) =>
          Consumer.ofSubscriber(service.contract, subscriber, id)
        )
      ))
    ]
    const outbox = { id: yield* number(`${service.name}.outbox`), name: `${service.name}.outbox`, sources: [] }

    const letters = { ...DeadLetters.limits, ...options.deadLetters }
    const partitionsOf = <C>(consumer: C) => {
      const share = DeadLetters.shareOf(letters, limits.partitions)
      return Array.from({ length: limits.partitions }, (_, p) => Partition.progress(consumer, p, share))
    }
    const unclaimed = Consumer.ofUnclaimed(
      service.contract,
      service.actors,
      yield* register(options, `${service.name}.${Consumer.unclaimed}`, 1)
    )
    const running = [
      ...consumers.map((consumer) => ({ consumer, partitions: partitionsOf(consumer) })),
      { consumer: unclaimed, partitions: [Partition.progress(unclaimed, 0, letters)] }
    ]
    const adopting = partitionsOf(outbox)
    const partitions = [...running.flatMap(({ partitions }) => partitions), ...adopting]
    const life: { ending: boolean; membership?: Membership.Membership; lost?: string } = { ending: false }
    const watched = yield* Health.watch({ partitions, membership: () => life.membership, where: servers })
    const owned = running.flatMap(({ partitions }) => partitions)
    const { commandsKept } = limits
    const streams = yield* Streams.keep({ service: service.name, partitions: owned, commandsKept, ensure })
    const clocks = yield* Clocks.watch(service.name)
    const health = Effect.map(watched, (seen) => {
      const health = { ...seen, trouble: [...streams.trouble(), ...seen.trouble, ...clocks()] }
      if (life.lost !== undefined)
        return { ...health, ready: false, live: false, trouble: [life.lost, ...health.trouble] }
      return life.ending
        ? { ...health, ready: false, trouble: ["the host is about to end", ...health.trouble] }
        : health
    })
    face.show({ health, metrics: yield* Metrics.text({ partitions, health, streams: streams.sizes }) })

    const drain = yield* drained(options.drain ?? "10 seconds")
    yield* Effect.forkIn(Pruner.run, drain)
    yield* Effect.forkIn(Removed.watch(service.name, new Set([...consumers, outbox].map(({ name }) => name))), drain)
    const adopter = yield* Scope.provide(Adopter.make({ service: service.name, partitions: limits.partitions }), drain)
    const parts = running.map(({ consumer, partitions }): Part => ({
      id: consumer.id,
      partitions,
      run: ({ p }, taken, setBack) => Partition.session(partitions[p]!, { ...taken, setBack }),
      isSetBack: ({ p }, taken) => Partition.isSetBack(partitions[p]!, taken),
      fit: false
    }))
    const adopts: Part = {
      id: outbox.id,
      partitions: adopting,
      run: (progress, taken, setBack) => adopter.run(taken, progress, setBack),
      isSetBack: () => Effect.succeed(false),
      fit: true
    }
    const shared = [...parts, adopts]
    const joined = yield* Scope.provide(
      Membership.make({
        host: {
          id,
          name: `${hostname()} ${process.pid}`,
          contract: service.contract["~version"],
          consumers: shared.map(({ id }) => id),
          lease
        },
        guard,
        heartbeat,
        databaseUrl: options.databaseUrl,
        shared,
        onEnqueued: adopter.wake,
        connected: () => !connection.isClosed() && connection.info !== undefined
      }),
      drain
    )
    life.membership = joined
    for (const [i, { consumer }] of running.entries()) {
      const part = parts[i]!
      const fit = Effect.map(untilFit(consumer, part.partitions, limits), () => {
        part.fit = true
        joined.wake()
      })
      yield* Effect.forkIn(fit, drain)
    }
    yield* Effect.forkScoped(
      Effect.flatMap(Identity.lost(service.name, mark, where), ({ message }) => {
        life.lost = message
        // Nothing more is handled; only a new start may find another pair.
        return Effect.andThen(Effect.logError(message), Scope.close(drain, Exit.void))
      })
    )
    yield* Effect.addFinalizer(() => Effect.sync(() => void (life.ending = true)))
    return { url: face.url, health: face.health }
  })

const tellRisk = (where: string): Effect.Effect<void, PostgresError, Sql> =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const risk = yield* Effect.tryPromise({ try: () => Session.risk(sql), catch: (cause) => unreached(where, cause) })
    if (risk !== undefined) yield* Effect.logWarning(Codes.text("TRP0518", where, risk))
  })

type Part = Membership.Shared<Sql | Db | Nats | Committer | Loader | Agendas>

const register = (options: Options, name: string, partitions: number): Effect.Effect<number, PostgresError, Sql> =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const id = yield* Effect.tryPromise({
      try: () => Ownership.consumer(sql, name, partitions),
      catch: (cause) => unreached(redactedUrl(options.databaseUrl), cause)
    })
    if (id === undefined) return yield* failure("TRP0507", name, `it was created with another count than ${partitions}`)
    return id
  })

/** Waits until all streams that a consumer reads are there: until then the service is not ready, and says so. */
const untilFit = (
  consumer: Consumer.Consumer,
  partitions: ReadonlyArray<Partition.Progress>,
  limits: Topology.Limits
): Effect.Effect<void, never, Nats> =>
  Effect.gen(function* () {
    // Services start side by side, so the first seconds of waiting are nothing to tell.
    for (let looks = 1; ; looks++) {
      const trouble = yield* missing(consumer, limits.partitions)
      if (trouble === undefined) return
      for (const progress of partitions) progress.trouble = trouble
      if (looks === 100) yield* Effect.logWarning(`${consumer.name} waits: ${trouble}`)
      yield* Effect.sleep(looks < 100 ? "50 millis" : "500 millis")
    }
  })

const missing = (consumer: Consumer.Consumer, count: number): Effect.Effect<string | undefined, never, Nats> =>
  Effect.gen(function* () {
    for (const { kind, stream } of consumer.sources) {
      const info = yield* Topology.find(stream)
      if (info === undefined) return `there is no stream ${stream}: its service has never run`
      const differences = Topology.differences(info.config, kind, stream.slice("CMD_".length), count)
      if (differences.length > 0) return `${stream} is not fit: ${differences.join("; ")}`
    }
    return undefined
  }).pipe(Effect.catch((error) => Effect.succeed(error.message)))

/** A scope that is given `within` to close: a server that hangs must not keep the process. */
const drained = (within: Duration.Input): Effect.Effect<Scope.Closeable, never, Scope.Scope> =>
  Effect.acquireRelease(Scope.make(), (scope) =>
    Effect.gen(function* () {
      const closing = yield* Effect.forkDetach(Scope.close(scope, Exit.void))
      const done = yield* Effect.timeoutOption(Fiber.await(closing), within)
      if (done._tag === "None")
        yield* Effect.logWarning("the drain took too long: what is at hand is left to the next owner")
    })
  )
