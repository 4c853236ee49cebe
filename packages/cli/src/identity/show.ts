import * as Print from "../Print.ts"
import { Text } from "@troupe/contract"
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
        return yield* Print.out(JSON.stringify({ database: database.id, service: database.service ?? null, streams }))
      }
      yield* Print.out(`${where} is database ${database.id} of ${Text.line(database.service ?? "no service yet")}`)
      for (const { database: is, stream } of streams)
        yield* Print.out(
          `${stream} ${is === null ? "is not marked" : is === database.id ? "is of this database" : `is of database ${Text.line(is)}`}`
        )
    })
  )
