import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import postgres from "postgres"

/** A few connections to a database, ended with the scope. */
export const connected = (url: string): Effect.Effect<postgres.Sql, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => postgres(url, { max: 4, onnotice: () => {} })),
    (sql) => Effect.promise(() => sql.end({ timeout: 5 }))
  )

/** Looks again, every 20 ms, until what it sees is as wanted: for work that goes on in other processes. Dies after 60 s. */
export const until = <A>(look: () => Promise<A>, wanted: (seen: A) => boolean): Effect.Effect<A> =>
  Effect.promise(look).pipe(
    Effect.repeat({ until: wanted, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOrElse({
      duration: "60 seconds",
      orElse: () =>
        Effect.flatMap(Effect.promise(look), (seen) =>
          Effect.die(new Error(`never as wanted: ${JSON.stringify(seen)}`))
        )
    })
  ) as Effect.Effect<A>
