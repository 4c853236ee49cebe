import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { marks, open, type Options } from "./open.ts"

/** Says what the database and the streams say of themselves. */
export const show = (options: Options & { readonly service: Option.Option<string> }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { database, nats, where } = yield* open(options)
      const service = Option.getOrElse(options.service, () => database.service)
      const streams = service === undefined ? [] : yield* Effect.provideContext(marks(service), nats)
      if (options.json) {
        return yield* Console.log(JSON.stringify({ database: database.id, service: database.service ?? null, streams }))
      }
      yield* Console.log(`${where} is database ${database.id} of ${database.service ?? "no service yet"}`)
      for (const { database: is, stream } of streams)
        yield* Console.log(
          `${stream} ${is === null ? "is not marked" : is === database.id ? "is of this database" : `is of database ${is}`}`
        )
    })
  )
