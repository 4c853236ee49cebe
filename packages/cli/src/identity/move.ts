import * as Print from "../Print.ts"
import { Text } from "@troupe/contract"
import { Mark } from "@troupe/nats"
import { Identity } from "@troupe/postgres/internal"
import * as Effect from "effect/Effect"
import { failure } from "../Failure.ts"
import { asked, marks, open, type Options } from "./open.ts"

/** Gives the database to the service, and the streams of the service to the database. */
export const move = (options: Options & { readonly service: string; readonly yes: boolean }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { json, service, yes } = options
      const { database, nats, sql, where } = yield* open(options)
      const streams = yield* Effect.provideContext(marks(service), nats)
      const changes = [
        ...(database.service === service
          ? []
          : [`${where} goes from ${database.service ?? "no service"} to ${service}`]),
        ...streams.flatMap((one) =>
          one.database === database.id
            ? []
            : [`${one.stream} goes from database ${one.database ?? "none"} to ${database.id}`]
        )
      ]
      const [living] = yield* asked(where, async () => await sql`select count(*)::int as n from troupe.living_v1()`)
      if (changes.length > 0 && database.service !== undefined && database.service !== service && living?.["n"] > 0)
        return yield* failure("TRP0609", where, `${living?.["n"]} hosts of ${database.service} run on it`)
      if (changes.length > 0 && !yes)
        return yield* failure("TRP0609", service, `--yes is not said; ${changes.join("; ")}`)
      yield* asked(where, () => Identity.give(sql, service))
      for (const { stream } of streams)
        yield* Effect.provideContext(Mark.set(stream, { id: database.id, development: database.development }), nats)
      yield* Print.out(
        json
          ? JSON.stringify({ database: database.id, service, streams: streams.map(({ stream }) => stream), changes })
          : (changes.length === 0 ? ["nothing to do: they belong together"] : changes.map(Text.line)).join("\n")
      )
    })
  )
