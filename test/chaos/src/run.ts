import { layer as client } from "@troupe/client/node"
import { Db } from "@troupe/postgres"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { name } from "./bank.ts"
import * as Burden from "./burden.ts"
import { bury, drain } from "./end.ts"
import * as Evidence from "./evidence.ts"
import { strike } from "./faults.ts"
import * as Invariants from "./invariants.ts"
import { askAgain, type Journal, journal, load, openAll, type Wanted } from "./load.ts"
import { type Fault, type Kind, kinds, make as schedule } from "./schedule.ts"
import * as Stores from "./stores.ts"
import * as World from "./world.ts"

export interface Options {
  readonly seed: number
  readonly minutes: number
  /** Kinds of faults; all, when left out. */
  readonly among?: ReadonlyArray<Kind>
  /** Two loops beside it take all the time that they get. */
  readonly slow?: boolean
  /** Hears, line by line, what happens. */
  readonly tell: (line: string) => void
}

export interface Report {
  /** How often each kind fired. */
  readonly faults: { readonly [kind in Kind]?: number }
  /** Asks that were answered. */
  readonly asks: number
  /** Transfers that were applied. */
  readonly transfers: number
  /** Transfers a second, while faults struck. */
  readonly throughput: number
  /** Partitions that a host took: at its start, after another, and after a loss of its own. */
  readonly takeOvers: number
  /** Hosts that were killed since their health failed, but for those that a fault had wedged. */
  readonly hostsKilledByHealth: number
  readonly wedgedKilledByHealth: number
  readonly violations: ReadonlyArray<string>
}

/** The most lines of a run that are kept as evidence. */
const remembered = 20_000

/** Lets the bank work under the faults of a seed, waits until everything is done, and reads from the stores what became of it. */
export const run = ({ among = kinds, minutes, seed, slow = false, tell }: Options): Effect.Effect<Report, unknown> =>
  Effect.gen(function* () {
    const duration = minutes * 60_000
    const faults = schedule(seed, duration, among)
    const lines: Array<string> = []
    const note = (line: string) => {
      if (lines.length < remembered) lines.push(line)
      tell(line)
    }
    for (const fault of faults) note(`planned: ${JSON.stringify(fault)}`)
    const since = performance.now()
    const say = (line: string) => note(`${((performance.now() - since) / 1_000).toFixed(1).padStart(6)} s  ${line}`)
    if (slow) yield* Burden.busy
    const clustered = among.includes("cluster-leader")
    const world = yield* World.make({ clustered, journal: journal(), say })
    const clients = Layer.merge(
      client({ servers: world.nats.servers.map(({ url }) => url), name: "chaos" }),
      Db.layer({ url: Redacted.make(world.databaseUrl), max: 8, applicationName: "chaos" })
    )
    const report = yield* Effect.provide(under(world, faults, { duration, seed }), clients)
    if (report.violations.length > 0) {
      for (const violation of report.violations) note(`VIOLATION  ${violation}`)
      say(`what was said is in ${Evidence.keep(world, lines)}`)
    }
    return report
  }).pipe(Effect.scoped)

const under = (
  world: World.World,
  faults: ReadonlyArray<Fault>,
  { duration, seed }: { readonly duration: number; readonly seed: number }
) =>
  Effect.gen(function* () {
    const fired: Partial<Record<Kind, number>> = {}
    const { journal, say } = world
    yield* Effect.timeoutOrElse(openAll, {
      duration: "90 seconds",
      orElse: () => Effect.die(new Error("the accounts could not be opened within 90 s"))
    })
    say("all accounts are open")
    const since = performance.now()
    const loading = yield* Effect.forkScoped(load(seed, journal))
    yield* Effect.forkScoped(
      Effect.repeat(
        Effect.sync(() => say(underWay(journal))),
        Schedule.spaced("15 seconds")
      )
    )
    const striking = Effect.forEach(
      faults,
      (fault) =>
        Effect.sleep(fault.at).pipe(
          Effect.andThen(Effect.sync(() => say(`${fault.kind} begins`))),
          Effect.andThen(Effect.timeout(strike(world, fault), "3 minutes")),
          Effect.matchCause({
            onSuccess: (evidence) => {
              fired[fault.kind] = (fired[fault.kind] ?? 0) + 1
              say(`${fault.kind} fired: ${evidence}`)
            },
            onFailure: (cause) => {
              const why = String(Cause.squash(cause))
              world.problems.push(`the fault ${JSON.stringify(fault)} did not fire: ${why}`)
              say(`${fault.kind} did not fire: ${why}`)
            }
          })
        ),
      { concurrency: "unbounded", discard: true }
    )
    yield* Effect.all([striking, Effect.sleep(duration)], { concurrency: 2, discard: true })
    say(`the faults are over: ${journal.wanted.size} transfers were wanted`)
    journal.closed = true
    const seconds = (performance.now() - since) / 1_000
    yield* Effect.timeoutOption(Fiber.await(loading), "90 seconds")
    yield* Fiber.interrupt(loading)
    const undrained = yield* drain(world)
    const discarded = undrained === undefined ? yield* bury(world) : []
    const changed = yield* asksAgain(world)
    const stores = yield* Effect.promise(() => Stores.read(world))
    const brokerLost = faults.some(({ kind }) => kind === "set-back" || kind === "kill-nats")
    const { events } = stores
    const commands = yield* Effect.promise(() => world.jsm.streams.info(`CMD_${name}`))
    say(
      `${events.length} events, ${stores.ledger.length} rows in the ledger, ${commands.state.last_seq} commands stored`
    )
    const transfers = new Set(events.flatMap(({ transfer, what }) => (what === "debited" ? [transfer] : []))).size
    const unplanned = world.killed.filter(({ wedged }) => !wedged).length
    return {
      faults: Object.fromEntries(kinds.flatMap((kind) => (fired[kind] === undefined ? [] : [[kind, fired[kind]]]))),
      asks: [...journal.wanted.values()].filter(({ answer }) => answer !== undefined).length,
      transfers,
      throughput: Math.round((transfers / seconds) * 10) / 10,
      takeOvers: world.takeOvers,
      hostsKilledByHealth: unplanned,
      wedgedKilledByHealth: world.killed.length - unplanned,
      violations: [
        ...world.problems,
        ...(undrained === undefined ? [] : [`not everything was done at the end: ${undrained}`]),
        ...(changed.length === 0 ? [] : [`answers changed: ${changed.length}, as ${changed.slice(0, 3).join("; ")}`]),
        ...Invariants.check(stores, journal, { brokerLost, lost: world.lost, discarded })
      ]
    } satisfies Report
  })

/** What clients wait for, for a person: how many of each way, and for how long the first of them. */
const underWay = ({ full, wanted }: Journal): string => {
  const waiting = Map.groupBy(
    [...wanted.values()].filter(({ ended }) => ended === undefined),
    ({ how }) => how
  )
  const seconds = ({ begun }: Wanted) => Math.round((Date.now() - begun) / 1_000)
  const ways = [...waiting].map(([how, all]) => `${all.length} ${how} (for ${seconds(all[0]!)} s)`)
  return `${wanted.size} wanted, ${full} times StreamFull; under way: ${ways.join(", ") || "nothing"}`
}

/** The most answers that are asked for again. */
const sample = 4_000

/** Answers that were given in a time that the database lost, and are other ones now. */
const asksAgain = ({ journal, lost }: World.World) => {
  const wasLost = ({ ended = 0 }: Wanted) => lost.some(({ from, to }) => from <= ended && ended <= to)
  const answered = [...journal.wanted.values()].filter((one) => one.answer !== undefined && wasLost(one))
  return askAgain(answered.slice(-sample))
}
