import { Client, type ClientError } from "@troupe/client"
import { Contract, type Event, EventWire, Key, Reason, Text } from "@troupe/contract"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Principal } from "./Auth.ts"
import { Counts } from "./Counts.ts"
import * as eventSource from "./eventSource.ts"
import type { Limits } from "./Limits.ts"
import * as Measures from "./Measures.ts"
import { Outlet } from "./Outlet.ts"
import * as permits from "./permits.ts"
import * as Problem from "./Problem.ts"

/** Of each query parameter. */
const mostValues = 100
/** How long the service's stream may take until it is read. */
const patience = "10 seconds"
/** Longer than a timer can wait: such a token ends after 24 days at the latest. */
const longestTimer = 2 ** 31 - 1
/** nats-server counts ns of Unix time in 64 bits: a later time wraps, and would begin at the start. In ms. */
const latest = Number(2n ** 63n / 1_000_000n)

/** Which events a request wants, and from where on. */
interface Wanted {
  readonly refs: ReadonlyArray<Contract.AnyEventRef>
  readonly keys: ReadonlyArray<string>
  readonly begin: { readonly after: string } | { readonly from: "now" | "start" | Date }
}

type Placed = Event & { readonly place: string }

/** The event streams that are open. */
export class Events {
  private readonly contracts: ReadonlyMap<string, Contract.AnyContract>
  private readonly limits: Limits
  private readonly scope: Scope.Scope
  /** Of each principal. */
  private readonly counts = new Counts()
  private readonly fibers = new Set<Fiber.Fiber<void>>()
  private all = 0

  constructor(contracts: ReadonlyArray<Contract.AnyContract>, limits: Limits, scope: Scope.Scope) {
    this.contracts = new Map(contracts.map((contract) => [contract["~service"], contract]))
    this.limits = limits
    this.scope = scope
  }

  /** Server-sent events (HTML standard, 9.2): `id` is the place, `event` the type, `data` a CloudEvent. */
  answer(request: Request, service: string, principal: Principal): Effect.Effect<Response, Problem.Problem, Client> {
    return Effect.gen({ self: this }, function* () {
      const contract = this.contracts.get(service)
      if (contract === undefined) return yield* Effect.fail(nothing(""))
      if (!permits.hearing(principal, service)) return yield* Effect.fail(permits.refused(`hear:${service}`))
      const wanted = read(request, contract)
      if (Problem.isProblem(wanted)) return yield* Effect.fail(wanted)
      const mine = this.counts.of(principal.name)
      if (mine >= this.limits.streams.perPrincipal)
        return yield* Effect.fail(full(429, "TRP0708", `${mine} event streams at once`))
      if (this.all >= this.limits.streams.all) return yield* Effect.fail(full(503, "TRP0709", "too many event streams"))
      const body = yield* this.open(wanted, principal)
      return new Response(body, {
        headers: { "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no" }
      })
    })
  }

  /** Ends them all; who heard them goes on elsewhere, after the last event. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => Fiber.interruptAll([...this.fibers]))

  private open(
    wanted: Wanted,
    principal: Principal
  ): Effect.Effect<ReadableStream<Uint8Array>, Problem.Problem, Client> {
    return Effect.gen({ self: this }, function* () {
      const opened = yield* Deferred.make<void, Problem.Problem>()
      let leave = (): void => {}
      const outlet = new Outlet(this.limits.stalled, () => leave())
      // Begun before it can be interrupted: a fiber that never began would never give its place back.
      const fiber = yield* Effect.forkIn(this.run(wanted, principal, outlet, opened), this.scope, {
        startImmediately: true
      })
      leave = () => fiber.interruptUnsafe()
      this.fibers.add(fiber)
      fiber.addObserver(() => this.fibers.delete(fiber))
      yield* Deferred.await(opened).pipe(
        Effect.timeoutOrElse({
          duration: patience,
          orElse: () => Effect.fail(full(503, "TRP0709", "the service's stream does not answer"))
        }),
        Effect.onError(() => Fiber.interrupt(fiber))
      )
      return outlet.body
    })
  }

  private run(wanted: Wanted, principal: Principal, outlet: Outlet, opened: Deferred.Deferred<void, Problem.Problem>) {
    const { begin, keys, refs } = wanted
    const [key] = keys
    const wires = new Map(refs.map(({ definition, type }) => [type, EventWire.make(definition)]))
    const only = new Set(keys)
    const onOpen = (place: string): void => {
      // An id without data is remembered too: who leaves before the first event misses none.
      outlet.begin(`retry: ${eventSource.retry(1_000)}\nid: ${place}\n\n`)
      Deferred.doneUnsafe(opened, Effect.void)
    }
    const reading = Effect.gen({ self: this }, function* () {
      const client = yield* Client
      const options = { ...begin, onOpen, ...(keys.length === 1 && key !== undefined ? { key } : {}) }
      const events = client.subscribe(refs, options) as Stream.Stream<Placed, ClientError>
      const passOn = (event: Placed) =>
        only.size === 0 || only.has(event.key) ? outlet.write(frame(event, wires)) : Effect.void
      const comments = Effect.andThen(
        Effect.sleep(this.limits.keepAlive),
        Effect.sync(() => outlet.offer(": \n\n"))
      )
      const left = principal.until - (yield* Clock.currentTimeMillis)
      const over = Effect.sleep(Math.min(longestTimer, Math.max(0, left)))
      const alive = Effect.raceFirst(over, Effect.forever(comments))
      yield* Effect.raceFirst(Stream.runForEach(events, passOn), alive)
    })
    return Effect.acquireUseRelease(
      this.count(principal.name, 1),
      () =>
        reading.pipe(
          Effect.catch((error: ClientError | "stalled") =>
            error === "stalled"
              ? Effect.logInfo("an event stream was closed: its reader takes nothing")
              : Effect.asVoid(Deferred.fail(opened, Problem.ofClientError(error)))
          ),
          Effect.tapDefect((defect) => Effect.logError("an event stream failed", Reason.full(defect)))
        ),
      () =>
        Effect.andThen(
          Effect.sync(() => outlet.close()),
          this.count(principal.name, -1)
        )
    )
  }

  private count(name: string, by: 1 | -1): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.counts.add(name, by)
      this.all += by
      return Metric.update(Measures.open, this.all)
    })
  }
}

const nothing = (why: string): Problem.Problem => ({ status: 404, code: "TRP0701", why })
const bad = (why: string): Problem.Problem => ({ status: 400, code: "TRP0710", why })
const full = (status: number, code: "TRP0708" | "TRP0709", why: string): Problem.Problem => ({
  status,
  code,
  why,
  headers: { "retry-after": "5" }
})

const read = (request: Request, contract: Contract.AnyContract): Wanted | Problem.Problem => {
  const { searchParams } = new URL(request.url)
  const [actors, names, keys] = ["actor", "event", "key"].map((name) => searchParams.getAll(name))
  if (actors === undefined || names === undefined || keys === undefined) return nothing("")
  if ([actors, names, keys].some(({ length }) => length > mostValues))
    return bad(`at most ${mostValues} of each parameter`)
  if (keys.some((key) => Key.encode(key) === undefined)) return { status: 400, code: "TRP0204", why: "" }
  const all = Contract.actors(contract).flatMap(({ events, name }) =>
    Object.entries(events).map(([event, ref]) => ({ actor: name.slice(name.indexOf(".") + 1), event, ref }))
  )
  const unknown =
    actors.find((actor) => !all.some((one) => one.actor === actor)) ??
    names.find((name) => !all.some((one) => one.event === name))
  if (unknown !== undefined) return nothing(`no events of ${unknown.slice(0, 60)}`)
  const refs = all
    .filter(
      ({ actor, event }) =>
        (actors.length === 0 || actors.includes(actor)) && (names.length === 0 || names.includes(event))
    )
    .map(({ ref }) => ref)
  if (refs.length === 0) return nothing("no such event")
  const begin = beginning(request.headers.get("last-event-id") || searchParams.get("from"))
  return Problem.isProblem(begin) ? begin : { refs, keys, begin }
}

const beginning = (from: string | null): Wanted["begin"] | Problem.Problem => {
  if (from === null || from === "" || from === "now") return { from: "now" }
  if (from === "start") return { from: "start" }
  if (!/^\d{4}-/.test(from)) return { after: from }
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(from)
    ? new Date(from)
    : new Date(Number.NaN)
  if (Number.isNaN(time.getTime())) return bad("from is start, a time (RFC 3339), or the id of an event")
  return time.getTime() >= 0 && time.getTime() <= latest ? { from: time } : bad("from is a time of 1970 to 2262")
}

/** In its newest version, as a CloudEvent in JSON: one line, since JSON has no line breaks of its own. */
const frame = (
  { causationId, correlationId, id, key, payload, place, time, type }: Placed,
  wires: ReadonlyMap<string, EventWire.EventWire>
): string => {
  const wire = wires.get(type)
  const data = wire?.encode(payload)
  if (wire === undefined || data?.ok !== true) throw new Error(`${type} cannot be written`)
  const event = {
    specversion: "1.0",
    id,
    source: type.split(".", 1).join(),
    type,
    subject: key,
    time,
    dataversion: wire.version,
    correlationid: correlationId,
    ...(causationId === undefined ? {} : { causationid: causationId }),
    datacontenttype: "application/json",
    data: JSON.parse(data.text) as unknown
  }
  return `id: ${place}\nevent: ${type}\ndata: ${Text.visible(JSON.stringify(event))}\n\n`
}
