import * as Print from "../Print.ts"
import { Codes, Text } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Ended } from "../Failure.ts"
import { foreign } from "./locate.ts"
import { marks, open, type Options } from "./open.ts"

/** Prints what the database and the streams say of themselves; ends with exit code 1 when they do not belong together. */
export const show = (options: Options & { readonly service: Option.Option<string> }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { database, nats, where } = yield* open(options)
      const service = Option.getOrElse(options.service, () => database.service)
      const streams = service === undefined ? [] : yield* Effect.provideContext(marks(service), nats)
      const wrong = service === undefined ? undefined : foreign(database, service, where)
      const theirs = streams.filter((one) => one.database !== null && one.database !== database.id)
      const match = wrong === undefined && theirs.length === 0
      if (options.json) {
        const whose = { database: database.id, service: database.service ?? null }
        yield* Print.out(JSON.stringify({ ...whose, streams, match }))
      } else {
        const lines = [
          `${where} is database ${database.id} of ${Text.line(database.service ?? "no service yet")}`,
          ...streams.map(
            ({ database: is, stream }) =>
              `${stream} ${is === null ? "is not marked" : is === database.id ? "is of this database" : `is of database ${Text.line(is)}`}`
          ),
          ...(wrong === undefined ? [] : [`they do not belong together: ${Text.line(wrong)}`]),
          ...theirs.map(({ database: is, stream }) => {
            const why = `it is of database ${is}, and this one is ${database.id}`
            return `they do not belong together: ${Text.line(Codes.text("TRP0420", stream, why))}`
          })
        ]
        yield* Print.out(lines.join("\n"))
      }
      if (!match) return yield* new Ended({ code: 1 })
    })
  )
