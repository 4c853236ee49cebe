import type { Client } from "@troupe/client"
import type { Db } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { alone, hostOf, NotFired, onHost, onLinks, wait } from "./aim.ts"
import { surge } from "./load.ts"
import { calm, commits, epochs } from "./ownership.ts"
import * as Processes from "./processes.ts"
import type { FaultOf } from "./schedule.ts"
import { throttled } from "./throttled.ts"
import type { Slot, World } from "./world.ts"

/** Of one core: what a host gets while it starves. */
const share = 0.25

/** Transfers that are sent at once to hosts that starve: they have more to do than their share of time is enough for. */
const backlog = 3_000

/**
 * One host or all of them get a quarter of a core, and more work than that. Nobody dies of it, so no partition may change
 * hands; and the bank goes on. It bears no other fault beside it, since most of them let partitions change hands.
 */
export const starve = (
  world: World,
  { all, host, ms }: FaultOf<"starve">
): Effect.Effect<string, unknown, Client | Db> => {
  const slots = all ? world.slots : [world.slots[host]!]
  return alone(
    slots,
    Effect.gen(function* () {
      const isCalm = yield* calm(world)
      const hosts = yield* Effect.forEach(slots, hostOf)
      const pids = hosts.map(({ pid }) => pid)
      const before = { epochs: yield* epochs(world), commits: yield* commits(world) }
      const used = yield* Effect.gen(function* () {
        const sending = yield* Effect.forkScoped(surge(world.journal, backlog))
        yield* throttled(pids, share)
        const since = performance.now()
        const cpu = pids.map(Processes.cpu)
        yield* Effect.sleep(ms)
        const elapsed = performance.now() - since
        yield* Fiber.interrupt(sending)
        return pids.map((pid, i) => (Processes.cpu(pid) - cpu[i]!) / elapsed)
      }).pipe(Effect.scoped)
      const after = { epochs: yield* epochs(world), commits: yield* commits(world) }
      const died = hosts.some((host, i) => slots[i]!.host !== host)
      const done = after.commits - before.commits
      const takeOvers = (after.epochs ?? 0) - (before.epochs ?? 0)
      if (isCalm && !died && takeOvers > 0)
        world.problems.push(`starve: ${takeOvers} partitions were taken over, and no host had died`)
      if (!died && done === 0) world.problems.push(`starve: nothing was committed in ${ms} ms`)
      const percent = used.map((one) => `${Math.round(one * 100)} %`).join(", ")
      if (!died && used.some((one) => one > share * 1.2 || one === 0))
        return yield* new NotFired({ why: `CPU was ${percent} of a core` })
      const told = isCalm ? `${takeOvers} take-overs` : "take-overs not looked at: they did not come to rest before"
      return `${slots.length} hosts had ${percent} of a core for ${ms} ms: ${done} commits, ${told}`
    })
  )
}

/** Everything that all hosts say to Postgres, and hear of it, is late: each statement takes twice the delay, at least. */
export const slowDb = (world: World, { delay, ms }: FaultOf<"slow-db">): Effect.Effect<string, unknown> =>
  onLinks(world.slots, "postgres", (links) =>
    Effect.gen(function* () {
      const before = links.map((link) => link.hindered())
      for (const link of links) link.slow(delay)
      yield* Effect.sleep(ms)
      // A host that is away or frozen says nothing until it is back.
      const chunks = yield* wait(
        "chunk over each link",
        Effect.sync(() => {
          const chunks = links.map((link, i) => link.hindered() - before[i]!)
          return chunks.every((count) => count > 0) ? chunks : undefined
        })
      )
      return `${chunks.join(", ")} chunks came ${delay} ms late`
    })
  )

/** A host is started with a clock that is off, and later again with a right one. */
export const clockSkew = (world: World, { by, host, ms }: FaultOf<"clock-skew">): Effect.Effect<string, unknown> =>
  onHost(world, host, (first, slot) =>
    Effect.gen(function* () {
      slot.clock = by
      const skewed = yield* restarted(slot, first)
      const said = Number(/^clock (\d+)$/m.exec(skewed.output())?.[1])
      yield* Effect.sleep(ms)
      slot.clock = 0
      yield* restarted(slot, skewed)
      // It said so before it had started, which takes seconds.
      const off = said - Date.now()
      return Math.abs(off - by) < 10 * 60_000
        ? `host ${slot.nth} ran with a clock that is off by ${by / 60_000} minutes`
        : yield* new NotFired({ why: `its clock was off by ${off} ms` })
    }).pipe(Effect.ensuring(Effect.sync(() => (slot.clock = 0))))
  )

/** Asks the slot's host to end; the next one. */
const restarted = (slot: Slot, host: NonNullable<Slot["host"]>) =>
  Effect.gen(function* () {
    slot.condemned = true
    host.kill("SIGTERM")
    yield* Effect.timeoutOption(host.ended, "20 seconds")
    host.kill("SIGKILL")
    return yield* wait(
      "other host",
      Effect.sync(() => (slot.host === host ? undefined : slot.host))
    )
  })

/** The event loop of a host stands for as long as nobody ends it. It is ended by itself or by its health. */
export const wedge = (world: World, { host }: FaultOf<"wedge">): Effect.Effect<string, unknown> =>
  onHost(world, host, (host, slot) =>
    Effect.gen(function* () {
      slot.condemned = true
      slot.wedged = true
      const before = world.killed.length
      host.tell({ wedge: 120_000 })
      const since = performance.now()
      const ended = yield* Effect.timeoutOption(host.ended, "90 seconds")
      if (ended._tag === "None") return yield* new NotFired({ why: "nobody ended the host" })
      if (!host.output().includes("wedged\n")) return yield* new NotFired({ why: "it ended before" })
      const by = world.killed.length > before ? "health" : "itself"
      return `host ${slot.nth} stood, and was ended by ${by} after ${Math.round(performance.now() - since)} ms`
    }).pipe(Effect.ensuring(Effect.sync(() => (slot.wedged = false))))
  )
