import { assert, describe, it } from "@effect/vitest"
import { failure, lineOf, located } from "../src/Failure.ts"

describe("what a command failed with", () => {
  it("is one line in the form of every error", () => {
    assert.strictEqual(
      failure("TRP0103", "a.ts", "it ends\n  in the middle").message,
      "TRP0103 the file cannot be loaded · a.ts · it ends in the middle · read the cause, mend it and run it again"
    )
  })

  it("stays what it is when it has that form, and gets it when not", () => {
    assert.strictEqual(lineOf(new Error("TRP0401 a · b · c · d")), "TRP0401 a · b · c · d")
    assert.match(lineOf(new TypeError("x is not a function\n    at y.ts:1")), /^TRP0603 .* · x is not a function · /)
    assert.match(lineOf(new AggregateError([new Error("connect ECONNREFUSED")])), /· connect ECONNREFUSED ·/)
    assert.match(lineOf("a string"), /· a string ·/)
    assert.notInclude(lineOf(new Error("a\nb\nc")), "\n")
  })

  it("says where it came from when it is the fault of somebody's code", () => {
    const at = (stack: string) => {
      const error = new SyntaxError("unexpected")
      error.stack = stack
      return lineOf(located(error))
    }
    assert.include(
      at("file:///a/b.ts:3\n  code\nSyntaxError: unexpected\n    at node:internal:1:1"),
      "unexpected (/a/b.ts:3)"
    )
    assert.include(
      at("Error: unexpected\n    at node:fs:1:2\n    at f (file:///a/c.ts:1:35)"),
      "unexpected (/a/c.ts:1:35)"
    )
    assert.notInclude(at("Error: unexpected\n    at node:fs:1:2"), "(")
    assert.include(lineOf(located("no error")), "· no error ·")
  })
})
