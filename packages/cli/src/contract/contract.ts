import * as Print from "../Print.ts"
import { AsyncApi, Compatibility, OpenApi } from "@troupe/contract/document"
import * as Effect from "effect/Effect"
import { Ended } from "../Failure.ts"
import { contractOf, described, load } from "./load.ts"
import { lines } from "./render.ts"

/** Prints the document; `--json` in one line. OpenAPI and AsyncAPI need the module: their examples are tried on the contract. */
export const print = (options: {
  readonly file: string
  readonly format: "jsonschema" | "openapi" | "asyncapi"
  readonly json: boolean
}) =>
  Effect.gen(function* () {
    const { file, format, json } = options
    const document =
      format === "jsonschema"
        ? yield* load(file)
        : yield* described(file, yield* contractOf(file), (contract) =>
            (format === "openapi" ? OpenApi : AsyncApi).make([contract])
          )
    yield* Print.out(JSON.stringify(document, undefined, json ? undefined : 2))
  })

/** Says what changed. Ends with 1 when somebody is broken, with 2 when a file cannot be read. */
export const compare = (options: { readonly old: string; readonly now: string; readonly json: boolean }) =>
  Effect.gen(function* () {
    const [old, now] = yield* Effect.all([load(options.old), load(options.now)]).pipe(
      Effect.catchTag("Failure", ({ message }) =>
        Effect.andThen(
          Effect.sync(() => Print.err(message)),
          Effect.fail(new Ended({ code: 2 }))
        )
      )
    )
    const changes = Compatibility.diff(old, now)
    const compatible = Compatibility.isCompatible(changes)
    yield* Print.out(options.json ? JSON.stringify({ compatible, changes }) : lines(changes))
    if (!compatible) return yield* new Ended({ code: 1 })
  })
