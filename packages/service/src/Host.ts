import { Committer, Consumer, Deadlines, Loader, Partition } from "@troupe/actor/engine"
import { type Capabilities, Nats, type NatsError, Topology } from "@troupe/nats"
import { Adopter, Pruner } from "@troupe/outbox"
import { Db, Migrations, type PostgresError, Sql } from "@troupe/postgres"
import { failure, Ownership, redactedUrl } from "@troupe/postgres/internal"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Endpoints from "./Endpoints.ts"
import * as Health from "./Health.ts"
import * as Metrics from "./Metrics.ts"
import * as Tracing from "./Tracing.ts"
import type { Service } from "./Service.ts"

/** Why a host could not start; its message is for a person. */
export type HostError = NatsError | PostgresError | Endpoints.EndpointsError

/** Where a host runs, and within which limits. */
export interface Options {
  readonly natsUrl: Redacted.Redacted
  /** The service's own database, migrated. */
  readonly databaseUrl: Redacted.Redacted
  /** Of `/livez`, `/readyz`, `/startupz` and `/metrics`; port 0 takes a free one. */
  readonly http: { readonly host: string; readonly port: number }
  /** How long the end may take: what is at hand is finished, nothing new is read. Default 10 seconds. */
  readonly drain?: Duration.Input
  /** Of the service's streams, when they are made. */
  readonly limits?: Partial<Topology.Limits>
  /** Lowers what the server says of itself: for tests. */
  readonly capabilities?: Partial<Capabilities>
}

/** One process that runs a service. It takes every partition of every consumer when it starts, whoever has them. */
export class Host extends Context.Service<
  Host,
  {
    /** Where `/livez`, `/readyz`, `/startupz` and `/metrics` answer. */
    readonly url: string
    readonly health: Effect.Effect<Health.Health>
  }
>()("@troupe/service/Host") {
  /**
   * Starts the service: checks both servers and the schema, makes or checks its streams, takes its partitions. Ends by
   * draining: reading stops, what is at hand is committed and answered; meanwhile it is not ready, and says so. As long
   * as it runs, a rejected promise that nobody waits for is logged and does not end the process: the message whose
   * handler left it would be read again by the next one.
   */
  static readonly layer = (service: Service, options: Options): Layer.Layer<Host, HostError> => {
    const servers = Layer.mergeAll(
      Nats.layer({ url: options.natsUrl, name: service.name, capabilities: options.capabilities ?? {} }),
      Sql.layer({ url: options.databaseUrl, max: 8, applicationName: `troupe ${service.name}` }),
      // A statement that waits for longer than a handler may take is ended, and its turn fails.
      Db.layer({
        url: options.databaseUrl,
        max: 4,
        applicationName: `troupe ${service.name} handlers`,
        statementTimeout: 5_000
      })
    )
    return Layer.effect(Host, start(service, options)).pipe(
      Layer.provide(Layer.mergeAll(Committer.layer, Loader.layer, Deadlines.layer, Tracing.layer(service.name))),
      Layer.provide(servers)
    )
  }
}

const start = (
  service: Service,
  options: Options
): Effect.Effect<Host["Service"], HostError, Sql | Db | Nats | Committer | Loader | Scope.Scope> =>
  Effect.gen(function* () {
    yield* logRejections
    const host = SecureRandom.uuidV4Unsafe()
    const limits = { ...Topology.limits, ...options.limits }
    const sql = yield* Sql
    yield* Migrations.check(sql, redactedUrl(options.databaseUrl))
    yield* Topology.ensure("cmd", service.name, limits)
    yield* Topology.ensure("evt", service.name, limits)

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
    const outbox = yield* number(`${service.name}.outbox`)

    const partitions = consumers.flatMap((consumer) =>
      Array.from({ length: limits.partitions }, (_, p) => Partition.progress(consumer, p))
    )
    const names = new Map(consumers.map(({ id, name }) => [id, name])).set(outbox, `${service.name}.outbox`)
    const ending = { is: false }
    const watched = yield* Health.watch({ partitions, outboxes: names })
    const health = Effect.map(watched, (health) =>
      ending.is ? { ...health, ready: false, trouble: ["the host is about to end", ...health.trouble] } : health
    )
    // Before the drain's scope, so that they answer until it is over.
    const metrics = yield* Metrics.text({ partitions, health })
    const url = yield* Endpoints.serve(service.name, { health, metrics }, options.http)

    const running = yield* drained(options.drain ?? "10 seconds")
    for (const consumer of consumers) {
      const own = partitions.filter((progress) => progress.consumer === consumer)
      yield* Effect.forkIn(run(consumer, own, limits, host), running)
    }
    yield* Effect.forkIn(
      Adopter.run({ service: service.name, consumer: outbox, partitions: limits.partitions, host }),
      running
    )
    yield* Effect.forkIn(Pruner.run, running)
    yield* Effect.addFinalizer(() => Effect.sync(() => void (ending.is = true)))
    return { url, health }
  })

const logRejections: Effect.Effect<void, never, Scope.Scope> = Effect.gen(function* () {
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const log = (cause: unknown): void =>
    void run(Effect.logError("a promise was rejected, and nobody waits for it", cause))
  yield* Effect.acquireRelease(
    Effect.sync(() => process.on("unhandledRejection", log)),
    () => Effect.sync(() => process.off("unhandledRejection", log))
  )
})

const register = (options: Options, name: string, partitions: number): Effect.Effect<number, PostgresError, Sql> =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const id = yield* Effect.tryPromise({
      try: () => Ownership.consumer(sql, name, partitions),
      catch: (cause) => failure("TRP0501", redactedUrl(options.databaseUrl), String(cause))
    })
    if (id === undefined) return yield* failure("TRP0507", name, `it was created with another count than ${partitions}`)
    return id
  })

/** Runs a consumer once all streams that it reads are there: until then the service is not ready, and says so. */
const run = (
  consumer: Consumer.Consumer,
  partitions: ReadonlyArray<Partition.Progress>,
  limits: Topology.Limits,
  host: string
): Effect.Effect<unknown, never, Sql | Db | Nats | Committer | Loader> =>
  Effect.gen(function* () {
    // Services start side by side, so the first seconds of waiting are nothing to tell.
    for (let looks = 1; ; looks++) {
      const trouble = yield* missing(consumer, limits.partitions)
      if (trouble === undefined) break
      for (const progress of partitions) progress.trouble = trouble
      if (looks === 100) yield* Effect.logWarning(`${consumer.name} waits: ${trouble}`)
      yield* Effect.sleep(looks < 100 ? "50 millis" : "500 millis")
    }
    yield* Effect.forEach(partitions, (progress) => Partition.own(progress, host, limits.commandsKept), {
      concurrency: "unbounded"
    })
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
