import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type BenchError, failure } from "../BenchError.ts"
import * as Child from "../Child.ts"
import { name as service } from "../counter/contract.ts"
import { median, short } from "../Figures.ts"
import type { Line, Print } from "../Line.ts"
import * as Limits from "../limits/Limits.ts"
import type * as Options from "../Options.ts"
import { say } from "../Progress.ts"
import * as Servers from "../Servers.ts"
import type { Settings } from "./driver.ts"
import type { Measured } from "./load.ts"
import * as System from "./System.ts"

const keys = 1_000

interface Contestant {
  readonly name: Options.System
  readonly system: System.System
  /** The sum that its counters must have: one for each call that it answered. */
  calls: number
  /** All messages that it answered: the calls, and those that read the counters. */
  messages: number
}

/** Every system does the same work in turns, A B C D A B C D ..., and is then killed, started again and counted. */
export const run = (options: Options.Options, print: Print): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const servers = yield* Servers.start(options)
    const errors: { [name: string]: string } = {}
    const fail = (name: Options.System, error: BenchError): void => {
      errors[name] ??= error.message
      say(`${name}: ${error.message}`)
    }
    const contestants: Array<Contestant> = []
    for (const name of options.only) {
      say(`starting ${name} ...`)
      const started = yield* Effect.result(System.start(name)(servers, options))
      if (started._tag === "Success") contestants.push({ name, system: started.success, calls: 0, messages: 0 })
      else fail(name, started.failure)
    }
    for (const callers of options.callers) {
      const measured = new Map<Options.System, Array<Round>>()
      for (let round = 1; round <= options.rounds; round++) {
        for (const one of contestants) {
          if (errors[one.name] !== undefined) continue
          const result = yield* Effect.result(drive(servers, options, one, callers))
          if (result._tag === "Failure") fail(one.name, result.failure)
          else {
            measured.set(one.name, [...(measured.get(one.name) ?? []), result.success])
            const { driverCpu, p50, p99, rate } = result.success
            say(
              `${callers} callers, round ${round} of ${options.rounds}: ${one.name} ${Math.round(rate)} calls/s, ` +
                `p50 ${short(p50)} ms, p99 ${short(p99)} ms, driver ${Math.round(driverCpu * 100)} % of a core`
            )
          }
        }
      }
      for (const one of contestants) {
        if (errors[one.name] !== undefined) continue
        const result = yield* Effect.result(check(servers, one))
        if (result._tag === "Failure") fail(one.name, result.failure)
      }
      say(`${callers} callers: the limits ...`)
      const limits = yield* Limits.measure(servers, callers)
      print(lineOf(callers, options, contestants, measured, errors, limits))
    }
  })

interface Round extends Measured {
  /** Events that reached their stream within the measured time, per second. */
  readonly relayed: number
}

const eventsIn = ({ jsm }: Servers.Servers): Effect.Effect<number> =>
  Effect.promise(async () => (await jsm.streams.info(`EVT_${service}`)).state.messages)

const driver = (settings: Settings, flags: ReadonlyArray<string> = []) =>
  Child.node(new URL("./driver.ts", import.meta.url), settings, flags)

const drive = (
  servers: Servers.Servers,
  { profile, seconds }: Options.Options,
  one: Contestant,
  callers: number
): Effect.Effect<Round, BenchError> =>
  Effect.scoped(
    Effect.gen(function* () {
      // What one system left to be written must not be paid for by the next.
      yield* Effect.promise(() => servers.admin`checkpoint`)
      const target = one.system.target()
      const flags =
        profile === undefined
          ? []
          : ["--cpu-prof", `--cpu-prof-dir=${profile}`, `--cpu-prof-name=driver-${one.name}-${callers}.cpuprofile`]
      const child = yield* driver({ target, keys, load: { callers, keys, seconds, warm: seconds / 3 } }, flags)
      const look = Effect.map(one.name === "troupe" ? eventsIn(servers) : Effect.succeed(0), (events) => ({
        events,
        at: performance.now()
      }))
      yield* child.said(/^begin$/)
      const before = yield* look
      yield* child.said(/^end$/)
      const after = yield* look
      const [, text = ""] = yield* child.said(/^measured (.*)$/)
      const measured: Measured = JSON.parse(text)
      yield* child.ended
      const [error] = measured.errors
      if (error !== undefined)
        return yield* failure("calls failed", one.name, error, "a call that failed makes the count worthless")
      one.calls += measured.calls
      one.messages += measured.calls
      return { ...measured, relayed: ((after.events - before.events) / (after.at - before.at)) * 1_000 }
    })
  )

/** Killed and started again, a system must have every call that it answered, once; Troupe's events must all be there. */
const check = (servers: Servers.Servers, one: Contestant): Effect.Effect<void, BenchError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const since = performance.now()
      yield* one.system.crash
      const child = yield* driver({ target: one.system.target(), keys })
      const [, sum] = yield* child.said(/^sum (\d+)$/)
      const took = ((performance.now() - since) / 1_000).toFixed(1)
      say(`${one.name}: killed and started again, all counters read after ${took} s`)
      if (Number(sum) !== one.calls)
        return yield* failure(
          "the counts differ",
          one.name,
          `${one.calls} calls, counted ${sum}`,
          "find out which is right"
        )
      one.messages += keys
      if (one.name !== "troupe") return undefined
      const seen = yield* eventsIn(servers).pipe(
        Effect.repeat({
          until: (seen) => seen >= one.messages,
          schedule: Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(600)])
        })
      )
      if (seen !== one.messages)
        return yield* failure(
          "events are missing",
          one.name,
          `${seen} of ${one.messages} in the stream`,
          "look at the relay"
        )
      return undefined
    })
  )

const lineOf = (
  callers: number,
  { only, rounds, seconds }: Options.Options,
  contestants: ReadonlyArray<Contestant>,
  measured: ReadonlyMap<Options.System, ReadonlyArray<Round>>,
  errors: { readonly [name: string]: string },
  limits: Limits.Limits
): Line => {
  const of = (name: Options.System, figure: "rate" | "p50" | "p99" | "driverCpu" | "relayed"): number | null =>
    errors[name] === undefined && measured.has(name)
      ? short(median((measured.get(name) ?? []).map((round) => round[figure])))
      : null
  const rate = (name: Options.System): number | null => {
    const found = of(name, "rate")
    return found === null ? null : Math.round(found)
  }
  const [troupe, restate] = [rate("troupe"), rate("restate")]
  const peers = only.filter((name) => name !== "troupe")
  return {
    bench: "turns",
    callers,
    ...Object.fromEntries(only.map((name) => [name, rate(name)])),
    ratio: troupe === null || restate === null ? null : short(troupe / restate),
    p50: of("troupe", "p50"),
    p99: of("troupe", "p99"),
    ...Object.fromEntries(
      peers.flatMap((name) => [
        [`${name}P50`, of(name, "p50")],
        [`${name}P99`, of(name, "p99")]
      ])
    ),
    relayed: of("troupe", "relayed"),
    limits,
    driverCpu: Object.fromEntries(only.map((name) => [name, of(name, "driverCpu")])),
    rounds,
    seconds,
    durability: Object.fromEntries(contestants.map(({ name, system }) => [name, system.durability])),
    ...(Object.keys(errors).length === 0 ? {} : { errors })
  }
}
