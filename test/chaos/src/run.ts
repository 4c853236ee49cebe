import { layer as client } from "@troupe/client/node"
import { Db } from "@troupe/postgres"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { name } from "./bank.ts"
import { bury, drain } from "./end.ts"
import { strike } from "./faults.ts"
import * as Invariants from "./invariants.ts"
import { type Journal, load, openAll } from "./load.ts"
import { type Fault, type Kind, kinds, make as schedule } from "./schedule.ts"
import * as Stores from "./stores.ts"
import * as World from "./world.ts"

export interface Options {
  readonly seed: number
  readonly minutes: number
  /** Kinds of faults; all, when left out. */
  readonly among?: ReadonlyArray<Kind>
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
  readonly violations: ReadonlyArray<string>
}

/** Lets the bank work under the faults of a seed, waits until everything is done, and reads from the stores what became of it. */
export const run = ({ among = kinds, minutes, seed, tell }: Options): Effect.Effect<Report, unknown> =>
  Effect.gen(function* () {
    const duration = minutes * 60_000
    const faults = schedule(seed, duration, among)
    for (const fault of faults) tell(`planned: ${JSON.stringify(fault)}`)
    const since = performance.now()
    const say = (line: string) => tell(`${((performance.now() - since) / 1_000).toFixed(1).padStart(6)} s  ${line}`)
    const world = yield* World.make(say)
    const clients = Layer.merge(
      client({ servers: world.nats.url, name: "chaos" }),
      Db.layer({ url: Redacted.make(world.databaseUrl), max: 8, applicationName: "chaos" })
    )
    return yield* Effect.provide(under(world, faults, { duration, seed }), clients)
  }).pipe(Effect.scoped)

const under = (
  world: World.World,
  faults: ReadonlyArray<Fault>,
  { duration, seed }: { readonly duration: number; readonly seed: number }
) =>
  Effect.gen(function* () {
    const journal: Journal = { wanted: new Map(), problems: [], closed: false }
    const fired: Partial<Record<Kind, number>> = {}
    const { say } = world
    yield* Effect.timeoutOrElse(openAll, {
      duration: "90 seconds",
      orElse: () => Effect.die(new Error("the accounts could not be opened within 90 s"))
    })
    say("all accounts are open")
    const loading = yield* Effect.forkScoped(load(seed, journal))
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
    yield* Effect.timeoutOption(Fiber.await(loading), "90 seconds")
    yield* Fiber.interrupt(loading)
    const undrained = yield* drain(world)
    const discarded = undrained === undefined ? yield* bury(world) : []
    const stores = yield* Effect.promise(() => Stores.read(world))
    const brokerLost = faults.some(({ kind }) => kind === "set-back" || kind === "kill-nats")
    const { events } = stores
    const commands = yield* Effect.promise(() => world.jsm.streams.info(`CMD_${name}`))
    say(
      `${events.length} events, ${stores.ledger.length} rows in the ledger, ${commands.state.last_seq} commands stored`
    )
    const violations = [
      ...world.problems,
      ...(undrained === undefined ? [] : [`not everything was done at the end: ${undrained}`]),
      ...Invariants.check(stores, journal, { brokerLost, discarded })
    ]
    if (violations.length > 0) say(`what the hosts said is in ${World.keepLogs(world)}`)
    return {
      faults: Object.fromEntries(kinds.flatMap((kind) => (fired[kind] === undefined ? [] : [[kind, fired[kind]]]))),
      asks: [...journal.wanted.values()].filter(({ how, known }) => how === "ask" && known !== "unknown").length,
      transfers: new Set(events.flatMap(({ transfer, what }) => (what === "debited" ? [transfer] : []))).size,
      violations
    } satisfies Report
  })
