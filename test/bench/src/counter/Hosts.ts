import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BenchError } from "../BenchError.ts"
import * as Child from "../Child.ts"
import type { Settings } from "./host.ts"

/** Starts a host of the bench's service and waits until it is ready. */
export const start = (
  settings: Settings,
  flags: ReadonlyArray<string> = []
): Effect.Effect<Child.Child, BenchError, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Child.node(new URL("./host.ts", import.meta.url), settings, flags)
    yield* child.said(/^ready /)
    return child
  })
