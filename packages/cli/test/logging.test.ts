import { assert, describe, it, vi } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { layer } from "../src/run/logging.ts"

const thrower = (): never => {
  throw new Error("from inside the value")
}
const cyclic = new Error("it causes itself")
cyclic.cause = cyclic
const hostile: ReadonlyArray<unknown> = [
  cyclic,
  new AggregateError([cyclic]),
  Object.create(null),
  Object.defineProperty(new Error("a"), "message", { get: thrower }),
  Object.defineProperty(new Error("a"), "stack", { value: 5 }),
  { toJSON: thrower, toString: thrower },
  { nested: { toJSON: thrower } },
  { big: 1n, symbol: Symbol("a"), cyclic },
  Symbol("a"),
  1n,
  undefined
]

const logged = (json: boolean, log: Effect.Effect<void>): ReadonlyArray<string> => {
  const spy = vi.spyOn(console, "error").mockImplementation(() => {})
  try {
    Effect.runSync(Effect.provide(log, layer(json)))
    return spy.mock.calls.map(([line]) => String(line))
  } finally {
    spy.mockRestore()
  }
}

describe("a log line", () => {
  it.each([false, true])("is written whatever is logged, as JSON: %s", (json) => {
    const trapped = new Proxy({}, { get: thrower, ownKeys: thrower, getPrototypeOf: thrower })
    for (const value of [...hostile, trapped]) {
      for (const log of [
        Effect.logWarning("it failed", value),
        Effect.logWarning("it failed", { field: value }),
        Effect.logWarning("it failed", Cause.die(value)),
        Effect.annotateLogs(Effect.logWarning("it failed"), { field: value })
      ]) {
        const [line, ...more] = logged(json, log)
        assert.include(line, "it failed")
        assert.isEmpty(more)
        if (json) assert.isObject(JSON.parse(line!))
      }
    }
  })

  it("has the causes of an error, for programs with its stack", () => {
    const error = new Error("the statement failed", { cause: new Error("refused") })
    assert.match(logged(false, Effect.logError("a", Cause.die(error)))[0]!, / ERROR a the statement failed: refused$/)
    const { cause, message } = JSON.parse(logged(true, Effect.logError("a", { n: 1 }, Cause.die(error)))[0]!)
    assert.deepStrictEqual(message, ["a", { n: 1 }])
    assert.match(cause, /the statement failed\n +at [^]*\[cause\]: Error: refused/)
  })
})
