import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import { Ended, failure, reason } from "../Failure.ts"
import { diff } from "./diff.ts"
import * as Files from "./files.ts"
import { policies } from "./policies.ts"

export interface Options {
  readonly files: ReadonlyArray<string>
  readonly format: Option.Option<"nats" | "sql" | "deno">
  readonly check: boolean
  readonly write: boolean
  readonly json: boolean
}

/** Prints the policy, writes it, or compares it with what is committed: exit code 1 when that differs. */
export const permissions = (options: Options) =>
  Effect.gen(function* () {
    const { check, format, json, write } = options
    if ([check, write, format._tag === "Some"].filter(Boolean).length !== 1)
      return yield* failure("TRP0602", "troupe permissions", "it takes one of --format, --check and --write")
    const found = yield* policies(options.files)
    if (format._tag === "Some") {
      const text = [...Files.rendered(format.value, found).values()].join("\n")
      return yield* Console.log(json ? JSON.stringify({ policies: found, text }) : text.trimEnd())
    }
    const wanted = Files.all(found)
    if (write) {
      yield* Effect.tryPromise({
        try: () => Files.write(wanted),
        catch: (cause) => failure("TRP0026", Files.folder, reason(cause))
      })
      return yield* Console.log(json ? JSON.stringify({ written: [...wanted.keys()] }) : `wrote ${Files.folder}`)
    }
    const changes = diff(yield* Effect.promise(Files.committed), wanted)
    if (json) yield* Console.log(JSON.stringify({ ok: changes.length === 0, changes }))
    if (changes.length === 0) return json ? undefined : yield* Console.log(`${Files.folder} is what the code declares`)
    if (json) return yield* new Ended({ code: 1 })
    yield* Console.log(changes.join("\n"))
    return yield* failure("TRP0606", Files.folder, `${changes.length} lines of the diff above`)
  })
