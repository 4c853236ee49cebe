import { Codes, Reason } from "@troupe/contract"
import { Nats } from "@troupe/nats"
import { Sql } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { standby } from "./Outboxes.ts"

/** Where the servers are, without passwords. */
export interface Where {
  readonly nats: string
  readonly database: string
}

/** Between looks at a server, in ms; how long PostgreSQL may take to answer; how often it is told that a server is still away. */
const times = { look: 1_000, answer: 5_000, reminder: 30_000 } as const

/** NATS ended the connection for good: it refused the user when it came back. */
export const isClosed = ({ connection }: Nats["Service"]): boolean => connection.isClosed()

/** What is the matter with the connection to NATS. It comes back by itself, unless NATS refused it: that closes it. */
export const natsAway = (nats: Nats["Service"], where: string): string | undefined =>
  isClosed(nats)
    ? Codes.text("TRP0401", where, "the connection is closed for good, only a new process opens another")
    : nats.connection.info === undefined
      ? Codes.text("TRP0401", where, "the connection is lost, and not there again yet")
      : undefined

export const databaseAway = (where: string, cause: unknown): string => Codes.text("TRP0501", where, Reason.chain(cause))

/** Logs within seconds that a server is away from a host that runs, every 30 s as long as it is, and that it is back. */
export const watch = (where: Where): Effect.Effect<void, never, Nats | Sql | Scope.Scope> =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const sql = yield* Sql
    yield* Effect.forkScoped(
      follow(
        `NATS, ${where.nats},`,
        Effect.sync(() => natsAway(nats, where.nats))
      )
    )
    yield* Effect.forkScoped(follow(`PostgreSQL, ${where.database},`, answers(sql, where.database)))
  })

/** Why PostgreSQL does not answer, or takes no writes. Asked anew each time: postgres.js never ends a statement whose connection was lost while it was made. */
const answers = (sql: Sql["Service"], where: string): Effect.Effect<string | undefined> =>
  Effect.tryPromise(async () => {
    const [row] = await sql`select pg_is_in_recovery() as standby`
    if (row?.["standby"] === true) throw new Error(standby)
  }).pipe(
    Effect.timeoutOrElse({
      duration: times.answer,
      orElse: () => Effect.fail(new Error(`no answer in ${times.answer} ms`))
    }),
    Effect.match({ onSuccess: () => undefined, onFailure: (error) => databaseAway(where, error) })
  )

const follow = (name: string, away: Effect.Effect<string | undefined>): Effect.Effect<never> =>
  Effect.gen(function* () {
    let since: number | undefined
    let toldAt = Number.NEGATIVE_INFINITY
    let told = false
    while (true) {
      const why = yield* away
      const now = performance.now()
      if (why !== undefined) {
        since ??= now
        if (now - toldAt >= times.reminder) {
          toldAt = now
          told = true
          yield* Effect.logWarning(`${why}; the host goes on when it is there again`)
        }
      } else if (since !== undefined) {
        if (told) yield* Effect.logInfo(`${name} is there again after ${((now - since) / 1_000).toFixed(0)} s`)
        since = undefined
        told = false
      }
      yield* Effect.sleep(times.look)
    }
  })
