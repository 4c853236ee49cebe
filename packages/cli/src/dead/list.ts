import * as Print from "../Print.ts"
import { DeadLetters } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { open, type Options } from "./open.ts"
import { row, table } from "./render.ts"

export interface ListOptions extends Options {
  readonly limit: number
  readonly code: Option.Option<string>
  readonly consumer: Option.Option<string>
}

export const list = (options: ListOptions) =>
  open(options, (sql) =>
    Effect.gen(function* () {
      const letters = yield* DeadLetters.list(sql, {
        limit: options.limit,
        code: Option.getOrNull(options.code),
        consumer: Option.getOrNull(options.consumer)
      })
      yield* Print.out(options.json ? JSON.stringify({ dead: letters.map(row) }) : table(letters))
    })
  )
