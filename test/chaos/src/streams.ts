import type { Client } from "@troupe/client"
import type { Db } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import { NotFired, query, streams, wait } from "./aim.ts"
import { surge } from "./load.ts"
import type { FaultOf } from "./schedule.ts"
import type { World } from "./world.ts"

/** Room that is left in a stream that is about to be full, in bytes: for a few commands. */
const room = 4_096

/**
 * The stream of commands has no more room, so senders are told StreamFull. Not while NATS is set back: the limit would come
 * back with it; nor while Postgres is: a host that is short of room deletes the commands that it would read again.
 */
export const full = (world: World, { ms }: FaultOf<"stream-full">): Effect.Effect<string, unknown, Client | Db> => {
  const [stream] = streams
  const limit = (max_bytes: number) => query(() => world.jsm.streams.update(stream, { max_bytes }))
  return Effect.gen(function* () {
    const { config, state } = yield* query(() => world.jsm.streams.info(stream))
    const before = world.journal.full
    const refused = Effect.sync(() => (world.journal.full > before ? true : undefined))
    const filled = Effect.gen(function* () {
      yield* limit(state.bytes + room)
      // The load may wait for another fault.
      yield* Effect.forkScoped(surge(world.journal, 100))
      yield* wait("sender that was told StreamFull", refused)
      yield* Effect.sleep(ms)
    }).pipe(Effect.scoped)
    yield* Effect.ensuring(filled, limit(config.max_bytes))
    return `${world.journal.full - before} times a sender was told StreamFull`
  }).pipe(world.alone.nats.withPermit, world.alone.past.withPermit)
}

/** The server that leads a stream is killed and comes back, or gives its lead to another. */
export const clusterLeader = (
  world: World,
  { how, ms, stream }: FaultOf<"cluster-leader">
): Effect.Effect<string, unknown> =>
  Effect.gen(function* () {
    const { cluster } = world.nats
    if (cluster === undefined) return yield* new NotFired({ why: "NATS is one server" })
    const name = streams[stream === "CMD" ? 0 : 1]
    const leader = yield* cluster.leaderOf(name)
    if (how === "step-down") return `server ${leader} led ${name}, and then server ${yield* cluster.stepDown(name)}`
    yield* cluster.kill(leader)
    const next = yield* wait(
      "other leader",
      Effect.map(cluster.leaderOf(name), (now) => (now === leader ? undefined : now))
    )
    yield* Effect.sleep(ms)
    yield* cluster.restart(leader)
    // Two servers that are behind at once could not take anything.
    yield* Effect.forEach(streams, cluster.caughtUp, { discard: true })
    return `server ${leader} led ${name} and was killed; server ${next} led it then`
  }).pipe(world.alone.nats.withPermit)
