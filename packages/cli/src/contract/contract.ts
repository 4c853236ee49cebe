import { Compatibility, Document } from "@troupe/contract/document"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Ended } from "../Failure.ts"
import { load } from "./load.ts"
import { lines } from "./render.ts"

/** Prints the document; `--json` in one line. */
export const print = (options: { readonly file: string; readonly json: boolean }) =>
  Effect.gen(function* () {
    const document = yield* load(options.file)
    yield* Console.log(options.json ? JSON.stringify(document) : Document.text(document).trimEnd())
  })

/** Says what changed. Ends with 1 when somebody is broken, with 2 when a file cannot be read. */
export const compare = (options: { readonly old: string; readonly now: string; readonly json: boolean }) =>
  Effect.gen(function* () {
    const [old, now] = yield* Effect.all([load(options.old), load(options.now)]).pipe(
      Effect.catchTag("Failure", ({ message }) =>
        Effect.andThen(Console.error(message), Effect.fail(new Ended({ code: 2 })))
      )
    )
    const changes = Compatibility.diff(old, now)
    const compatible = Compatibility.isCompatible(changes)
    yield* Console.log(options.json ? JSON.stringify({ compatible, changes }) : lines(changes))
    if (!compatible) return yield* new Ended({ code: 1 })
  })
