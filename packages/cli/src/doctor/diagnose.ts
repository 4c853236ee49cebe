import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { natsBinary, postgresBinary } from "./binaries.ts"
import { databases } from "./databases.ts"
import { failed, type Finding } from "./Finding.ts"
import { type Broker, open } from "./nats.ts"
import { node } from "./node.ts"
import { pairs } from "./pairs.ts"
import { postgres, type Server } from "./postgres.ts"
import type { Known } from "./services.ts"
import { streams } from "./streams.ts"

export interface Options {
  readonly natsUrl: Option.Option<Redacted.Redacted>
  readonly natsCreds?: string | undefined
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  /** Services whose code is there. */
  readonly known: ReadonlyArray<Known>
  /** Look at these services alone, whatever else the servers have. */
  readonly only: boolean
}

/**
 * Every check. Services are those of the code, those whose streams NATS has, and those that databases name. Where a server
 * is not named, whether `troupe dev` could start its own.
 */
export const diagnose = ({
  databaseUrl,
  known,
  natsCreds,
  natsUrl,
  only
}: Options): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const names = known.map(({ name }) => name)
      const [[broker, ofBroker], [server, ofServer]] = yield* Effect.all(
        [
          Option.match(natsUrl, {
            onSome: (url) => bounded("nats", open(url, natsCreds, names)),
            onNone: () => Effect.map(natsBinary, none<Broker>)
          }),
          Option.match(databaseUrl, {
            onSome: (url) => bounded("postgres", postgres(url)),
            onNone: () => Effect.map(postgresBinary, none<Server>)
          })
        ],
        { concurrency: 2 }
      )
      const others = only ? [] : (broker?.services ?? []).filter((name) => !names.includes(name))
      const [looked = [], ofDatabases] = yield* bounded("databases", databases(server, { known, others, only }))
      const all = [...new Set([...names, ...others, ...looked.map(({ service }) => service)])]
      const ofStreams =
        broker === undefined ? [] : yield* Effect.provideContext(streams(all), broker.context).pipe(orFailed("streams"))
      const ofPairs = yield* pairs(looked, broker).pipe(orFailed("identity"))
      return [node(), ...ofBroker, ...ofStreams, ...ofServer, ...ofDatabases, ...ofPairs]
    })
  )

/** What was learned of a server, where it could be, and what was found. */
type Step<A> = readonly [A | undefined, ReadonlyArray<Finding>]

const none = <A>(findings: ReadonlyArray<Finding>): Step<A> => [undefined, findings]

/** A server that is silent must not keep the rest from being said. */
const bound = Duration.seconds(20)

const bounded = <A, E extends { readonly message: string }, R>(check: string, step: Effect.Effect<Step<A>, E, R>) =>
  step.pipe(
    Effect.timeout(bound),
    Effect.catch((error): Effect.Effect<Step<A>> => Effect.succeed([undefined, [failed(check, error)]]))
  )

const orFailed =
  (check: string) =>
  <E extends { readonly message: string }, R>(step: Effect.Effect<ReadonlyArray<Finding>, E, R>) =>
    step.pipe(
      Effect.timeout(bound),
      Effect.catch((error): Effect.Effect<ReadonlyArray<Finding>> => Effect.succeed([failed(check, error)]))
    )
