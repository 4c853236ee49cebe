import { DeadLetters } from "@troupe/postgres"
import { unsettled } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { name } from "./bank.ts"
import type { Discarded } from "./invariants.ts"
import { waiting } from "./stores.ts"
import type { World } from "./world.ts"

/** For how long nothing may move, in looks of 250 ms. */
const patience = 240

/** Waits until all hosts are ready and nothing is left to do; what there is still, once it has not moved for a minute. */
export const drain = (world: World): Effect.Effect<string | undefined> => {
  let looks = 0
  let still = 0
  let quiet = 0
  let seen: string | undefined
  const look = async (): Promise<string | undefined> => {
    const missing = world.slots.filter(({ host }) => host === undefined)
    if (missing.length > 0) return `hosts ${missing.map(({ nth }) => nth).join(", ")} are not ready`
    const left = await unsettled({ ...world, name, actor: "Account", subscriber: "ledger" })
    if (left !== undefined) return left
    const { parked, timers, unrelayed } = await waiting(world)
    if (parked > 0) return `${parked} messages are parked`
    if (timers > 0) return `${timers} timers are set`
    return unrelayed.length === 0 ? undefined : `the outbox of ${unrelayed.join("; ")}`
  }
  return Effect.promise(() => look().catch((cause: unknown) => String(cause))).pipe(
    Effect.tap((left) =>
      Effect.sync(() => {
        still = left === seen ? still + 1 : 0
        quiet = left === undefined ? quiet + 1 : 0
        seen = left
        if (left !== undefined && looks++ % 20 === 0) world.say(`left to do: ${left}`)
      })
    ),
    Effect.repeat({
      // One look at many places sees what moves between them at none.
      until: () => quiet === 2 || still >= patience,
      schedule: Schedule.spaced("250 millis")
    }),
    Effect.timeoutOrElse({ duration: "5 minutes", orElse: () => Effect.sync(() => seen) })
  )
}

/** What an operator does when all is well again: the first dead letter is discarded, the others are redriven. */
export const bury = (world: World): Effect.Effect<ReadonlyArray<Discarded>> =>
  Effect.gen(function* () {
    const by = { by: "chaos" }
    const [first, ...rest] = yield* DeadLetters.ids(world.sql)
    if (first === undefined) return []
    const letter = yield* DeadLetters.get(world.sql, first)
    yield* DeadLetters.discard(world.sql, first, by)
    for (const id of rest) yield* DeadLetters.redrive(world.sql, id, by)
    world.say(`1 dead letter was discarded, ${rest.length} were redriven`)
    const undrained = yield* drain(world)
    if (undrained !== undefined) world.problems.push(`what was redriven is not done: ${undrained}`)
    return [JSON.parse(new TextDecoder().decode(letter!.body))]
  }).pipe(
    Effect.catch((error) =>
      Effect.sync(() => {
        world.problems.push(`dead letters could not be redriven: ${error.message}`)
        return []
      })
    )
  )
