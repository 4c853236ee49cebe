import { Mark, type Nats, type NatsError } from "@troupe/nats"
import { type PostgresError, Sql } from "@troupe/postgres"
import { failure, Identity, unreached } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** How often a host looks whether database and streams still belong together. */
const interval = "10 seconds"

/**
 * Names the service of a database that has none. Fails with TRP0512 when it is another one's: two services on one database
 * would run each other's turns.
 */
export const ofDatabase = (service: string, where: string): Effect.Effect<Mark.Mark, PostgresError, Sql> =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const found = yield* Effect.tryPromise({
      try: () => Identity.claim(sql, service),
      catch: (cause) => unreached(where, cause)
    })
    if (found === undefined) return yield* failure("TRP0503", where, "troupe.identity has no row")
    if (found.service !== service)
      return yield* failure("TRP0512", where, `it is of ${found.service}, and this is ${service}`)
    return { id: found.id, development: found.development }
  })

/** Marks the streams; goes on with unmarked ones that this host may not change, since older code made them so. */
export const ofStreams = (service: string, mark: Mark.Mark): Effect.Effect<void, NatsError, Nats> =>
  Effect.catch(Mark.claim(service, mark), (error) =>
    error.code === "TRP0421" ? Effect.logWarning(error.message) : Effect.fail(error)
  )

/**
 * Looks, as long as the host runs, and answers with what was found once database or streams are another's: somebody moved
 * them, or the connection leads to another server by now. A server that is away answers nothing.
 */
export const lost = (
  service: string,
  mark: Mark.Mark,
  where: string
): Effect.Effect<NatsError | PostgresError, never, Nats | Sql> =>
  Effect.gen(function* () {
    const sql = yield* Sql
    const found = yield* Effect.tryPromise(() => Identity.read(sql))
    if (found !== undefined && (found.id !== mark.id || found.service !== service))
      return failure(
        "TRP0512",
        where,
        `it is database ${found.id} of ${found.service}, and was ${mark.id} of ${service}`
      )
    return Mark.foreign(yield* Mark.read(service), mark.id)
  }).pipe(
    Effect.orElseSucceed(() => undefined),
    Effect.repeat({ until: (found) => found !== undefined, schedule: Schedule.spaced(interval) }),
    Effect.map((found) => found!)
  )
