import * as Print from "../Print.ts"
import { Text } from "@troupe/contract"
import { DeadLetters } from "@troupe/postgres"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Ended, failure, lineOf } from "../Failure.ts"
import { open, type Options } from "./open.ts"

export interface WishOptions extends Options {
  readonly ids: ReadonlyArray<number>
  readonly all: boolean
  readonly code: Option.Option<string>
  readonly consumer: Option.Option<string>
  readonly by: string
  /** Seconds. */
  readonly timeout: number
}

/** So many are waited for at once. */
const concurrency = 64

/** How each wish is put, and what it says once it is done. */
const wishes = {
  redrive: (...[sql, id, how]: Parameters<typeof DeadLetters.redrive>) =>
    Effect.map(DeadLetters.redrive(sql, id, how), ({ messageId }) => ({
      line: `${id} redriven as ${Text.line(messageId)}`,
      row: { id, messageId }
    })),
  discard: (...[sql, id, how]: Parameters<typeof DeadLetters.discard>) =>
    Effect.map(DeadLetters.discard(sql, id, how), () => ({ line: `${id} discarded`, row: { id } }))
}

/** Puts a wish for each dead letter, the oldest first, and says what became of it. Ends with 1 when one is not done. */
export const wish = (kind: keyof typeof wishes, options: WishOptions) =>
  Effect.gen(function* () {
    const { all, by, code, consumer, ids, json, timeout } = options
    const filtered = Option.isSome(code) || Option.isSome(consumer)
    if (all === ids.length > 0) return yield* failure("TRP0602", `troupe dead ${kind}`, "name ids, or --all")
    if (filtered && !all) return yield* failure("TRP0602", `troupe dead ${kind}`, "--code and --consumer go with --all")
    return yield* open(options, (sql) =>
      Effect.gen(function* () {
        const which = { code: Option.getOrNull(code), consumer: Option.getOrNull(consumer) }
        const chosen = all ? yield* DeadLetters.ids(sql, which) : [...new Set(ids)].sort((a, b) => a - b)
        if (all && chosen.length === 0 && !json) yield* Print.out("no dead letters")
        // When nobody does what is wished, nobody will in the next seconds: what is left is put, and hardly waited for.
        let idle = false
        const done: Array<object> = []
        const failed: Array<object> = []
        yield* Effect.forEach(
          chosen,
          (id) =>
            Effect.matchEffect(
              Effect.suspend(() => wishes[kind](sql, id, { by, timeout: idle ? "100 millis" : timeout * 1_000 })),
              {
                onSuccess: ({ line, row }) => {
                  done.push(row)
                  return json ? Effect.void : Print.out(line)
                },
                onFailure: (error) => {
                  if (error._tag === "DbError") return Effect.fail(error)
                  if (error.code === "TRP0605") idle = true
                  failed.push({ id, code: error.code, message: error.message })
                  return Effect.sync(() => Print.err(lineOf(error)))
                }
              }
            ),
          { concurrency, discard: true }
        )
        if (json) yield* Print.out(JSON.stringify({ [kind === "redrive" ? "redriven" : "discarded"]: done, failed }))
        if (failed.length > 0) return yield* new Ended({ code: 1 })
      })
    )
  })
