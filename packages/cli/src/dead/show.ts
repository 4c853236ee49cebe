import * as Print from "../Print.ts"
import { DeadLetters } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import { failure } from "../Failure.ts"
import { open, type Options } from "./open.ts"
import { letter, page } from "./render.ts"

export const show = (options: Options & { readonly id: number }) =>
  open(options, (sql) =>
    Effect.gen(function* () {
      const found = yield* DeadLetters.get(sql, options.id)
      if (found === undefined) return yield* failure("TRP0601", String(options.id), "there is none with this id")
      yield* Print.out(options.json ? JSON.stringify(letter(found)) : page(found))
    })
  )
