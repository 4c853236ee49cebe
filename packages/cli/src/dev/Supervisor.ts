import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { Failure, failure } from "../Failure.ts"
import type { Child } from "./Child.ts"
import * as Lines from "./Lines.ts"
import type { Answers } from "./Probe.ts"
import * as Restarts from "./Restarts.ts"
import type { Service } from "./Service.ts"

/** A service that runs and answers. */
export interface Running {
  readonly name: string
  readonly url: string
  readonly pid: number
}

export interface Supervisor {
  readonly name: string
  /**
   * Starts it, and starts it again when it dies, until interrupted; fails when it has to be given up: when it dies too
   * often, or before it was ready once, with what it says itself.
   */
  readonly run: Effect.Effect<never, Failure, ChildProcessSpawner>
  /** As it is now; none while it is not ready. */
  readonly running: () => Running | undefined
  /** Waits until it was ready once. */
  readonly ready: Effect.Effect<Running>
  /** Kills it without warning, to show that it comes back. None of its deaths by itself, so it is not counted. */
  readonly kill: Effect.Effect<void>
}

/** What a supervisor needs of the world. */
export interface World {
  readonly start: (
    service: Service,
    say: (line: string) => void
  ) => Effect.Effect<Child, Failure, ChildProcessSpawner | Scope.Scope>
  /** Asks an url until it answers 200. */
  readonly probe: (url: string) => Answers
  /** Another free port than this one, for a service whose port somebody else took first. */
  readonly port: (taken: number) => Effect.Effect<number, Failure>
  /** Passes on a line of the service. */
  readonly pass: (service: string, line: string) => void
  /** Tells what happens to the service. */
  readonly say: (text: string) => void
}

/** So long a service may take until it is ready. */
export const patience = "60 seconds"

export const make = (declared: Service, world: World): Supervisor => {
  let service = declared
  const ready = Deferred.makeUnsafe<Running>()
  let running: Running | undefined
  let child: Child | undefined
  let asked = false
  let wasReady = false
  // Its own error, kept back until it is known whether it is the end.
  let verdict: string | undefined
  const release = (): void => {
    if (verdict !== undefined) world.pass(service.name, verdict)
    verdict = undefined
  }
  const told = new Set<string>()
  const tellMissing = (line: string): void => {
    const [, missing] = /it is not declared: (add .*?) · /.exec(line) ?? []
    if (missing === undefined || told.has(missing) || told.size === 100) return
    told.add(missing)
    world.say(`${service.name} tried what it does not declare: ${missing}`)
  }
  let last = Lines.tail(3)
  const quoted = (): string =>
    last.all().length === 0 ? "it said nothing" : `it said: ${last.all().map(cut).join(" / ")}`

  const becomeReady = (child: Child, again: boolean) =>
    Effect.gen(function* () {
      let why = () => "it did not say that it is ready"
      const began = yield* monotonic
      const wait = Effect.gen(function* () {
        const url = yield* child.ready
        for (const path of ["readyz", "livez"]) {
          const answers = world.probe(`${url}/${path}`)
          why = answers.why
          yield* answers.ok
        }
        return url
      })
      const url = yield* Effect.timeoutOrElse(wait, {
        duration: patience,
        orElse: () => failure("TRP0106", service.name, `after ${patience}: ${why()}; ${quoted()}`)
      })
      running = { name: service.name, url, pid: child.pid }
      wasReady = true
      release()
      yield* Deferred.succeed(ready, running)
      const took = (yield* monotonic) - began
      if (again) world.say(`${service.name} is ready again after ${(took / 1000).toFixed(1)} s (process ${child.pid})`)
    })

  const once = (again: boolean) =>
    Effect.scoped(
      Effect.gen(function* () {
        last = Lines.tail(3)
        child = yield* world.start(service, (line) => {
          last.push(line)
          tellMissing(line)
          if (wasReady || !/^TRP\d{4} /.test(line)) return world.pass(service.name, line)
          release()
          verdict = line
        })
        return yield* Effect.raceFirst(child.ended, Effect.andThen(becomeReady(child, again), Effect.never))
      })
    ).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          running = undefined
          child = undefined
        })
      )
    )

  const run = Effect.gen(function* () {
    let restarts: Restarts.Restarts = []
    for (let again = false; ; again = true) {
      const how = yield* once(again)
      if (asked) {
        asked = false
        world.say(`${service.name} was killed (${how}), starting it again`)
        continue
      }
      const portTaken = last.all().some((line) => line.includes("TRP0107"))
      if (!wasReady && !portTaken) {
        if (verdict === undefined) return yield* failure("TRP0105", service.name, `${how}; ${quoted()}`)
        world.say(`${service.name} ended (${how}) before it was ready`)
        return yield* new Failure({ code: verdict.slice(0, 7), message: verdict })
      }
      release()
      const decision = Restarts.next(restarts, yield* monotonic)
      if (decision === "give up") {
        return yield* failure("TRP0105", service.name, `${how}, ${Restarts.atMost} restarts in a minute; ${quoted()}`)
      }
      restarts = decision.restarts
      if (portTaken) service = at(service, yield* world.port(service.port))
      world.say(`${service.name} ended (${how}), starting it again in ${decision.delay} ms`)
      yield* Effect.sleep(Duration.millis(decision.delay))
    }
  })

  return {
    name: service.name,
    run,
    running: () => running,
    ready: Deferred.await(ready),
    kill: Effect.suspend(() => {
      if (child === undefined || running === undefined) return Effect.void
      asked = true
      return child.kill
    })
  }
}

const at = (service: Service, port: number): Service => ({ ...service, port })
const cut = (line: string): string => (line.length <= 200 ? line : `${line.slice(0, 199)}…`)

/** ms */
const monotonic = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
