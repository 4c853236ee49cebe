import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { natsBinary, postgresBinary } from "./binaries.ts"
import type { Finding } from "./Finding.ts"
import { nats } from "./nats.ts"
import { node } from "./node.ts"
import { type Known, pairs } from "./pairs.ts"
import { postgres } from "./postgres.ts"

export interface Options {
  readonly natsUrl: Option.Option<Redacted.Redacted>
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  /** The names of the services whose streams and databases are looked at. */
  readonly services: ReadonlyArray<string>
  /** The same, with what their code has; empty where that is not known. */
  readonly known?: ReadonlyArray<Known>
}

/** Every check. Where a server is not named, whether `troupe dev` could start its own. */
export const diagnose = (options: Options): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.map(
    Effect.all(
      [
        Option.match(options.natsUrl, { onSome: (url) => nats(url, options.services), onNone: () => natsBinary }),
        Option.match(options.databaseUrl, {
          onSome: (url) => postgres(url, options.services),
          onNone: () => postgresBinary
        }),
        Option.match(Option.all({ natsUrl: options.natsUrl, databaseUrl: options.databaseUrl }), {
          onSome: (servers) => pairs(servers, options.known ?? []),
          onNone: () => Effect.succeed([])
        })
      ],
      { concurrency: 2 }
    ),
    (found) => [node(), ...found.flat()]
  )
