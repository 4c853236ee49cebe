import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { query } from "./aim.ts"
import type { World } from "./world.ts"

/** How often partitions were taken over since the database was made. Undefined while Postgres does not answer. */
export const epochs = ({ sql }: World): Effect.Effect<number | undefined> =>
  Effect.tryPromise(async () => {
    const [row] = await sql<[{ epochs: number }]>`select coalesce(sum(epoch), 0)::int as epochs from troupe.partition`
    return row.epochs
  }).pipe(
    Effect.timeout("2 seconds"),
    Effect.orElseSucceed(() => undefined)
  )

/** Counts take-overs into the world. What is lost with a database that was set back stays counted. */
export const count = (world: World): Effect.Effect<void> => {
  let before = 0
  return epochs(world).pipe(
    Effect.tap((now = before) =>
      Effect.sync(() => {
        world.takeOvers += Math.max(0, now - before)
        before = now
      })
    ),
    Effect.repeat(Schedule.spaced("500 millis")),
    Effect.asVoid
  )
}

/** Waits until all hosts are ready and no partition was taken over for 3 s; false when that did not come in 45 s. */
export const calm = (world: World): Effect.Effect<boolean> => {
  let before: number | undefined
  let quiet = 0
  return epochs(world).pipe(
    Effect.map((now) => {
      const ready = world.slots.every(({ host }) => host !== undefined)
      quiet = ready && now !== undefined && now === before ? quiet + 1 : 0
      before = now
      return quiet === 12
    }),
    Effect.repeat({ until: (is) => is, schedule: Schedule.spaced("250 millis") }),
    Effect.timeoutOption("45 seconds"),
    Effect.map(({ _tag }) => _tag === "Some")
  )
}

/** Commits of all partitions so far. */
export const commits = ({ sql }: World): Effect.Effect<number> =>
  query(async () => {
    const [row] = await sql<[{ commits: number }]>`select count(*)::int as commits from app.marked`
    return row.commits
  })
