import { DeadLetters } from "@troupe/postgres"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { open, type Options } from "./open.ts"
import { row, table } from "./render.ts"

export const list = (options: Options & { readonly limit: number }) =>
  open(options, (sql) =>
    Effect.gen(function* () {
      const letters = yield* DeadLetters.list(sql, { limit: options.limit })
      yield* Console.log(options.json ? JSON.stringify({ dead: letters.map(row) }) : table(letters))
    })
  )
