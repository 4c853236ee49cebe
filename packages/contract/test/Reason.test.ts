import { assert, describe, it } from "@effect/vitest"
import { Reason } from "@troupe/contract"
import * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"
import { runInNewContext } from "node:vm"
import * as Hostile from "./hostile.ts"

const recipes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 }))).check(
  Schema.isMaxLength(60)
)

const all: ReadonlyArray<(why: unknown, limit?: number) => string> = [Reason.text, Reason.chain, Reason.full]

const holds = (described: string, limit: number): void => {
  assert.isAtLeast(described.length, 1)
  assert.isAtMost(described.length, limit)
  assert.isTrue(described.isWellFormed())
  // oxlint-disable-next-line no-control-regex
  assert.notMatch(described, /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]/)
}

describe("a reason", () => {
  it.prop(
    "is a short clean text, whatever was thrown",
    [recipes, Schema.Int.check(Schema.isBetween({ minimum: 30, maximum: 3_000 }))],
    ([recipe, limit]) => {
      const thrown = Hostile.build(recipe)
      for (const describe of all) holds(describe(thrown, limit), limit)
      for (const describe of [Reason.text, Reason.chain]) assert.notMatch(describe(thrown, limit), /\n/)
      for (const cause of [Cause.fail(thrown), Cause.die(thrown)]) {
        for (const describe of all) holds(describe(cause, limit), limit)
      }
      assert.isBoolean(Reason.is(thrown, Error))
      Reason.get(thrown, "message")
    },
    { arbitrary: { runs: 1_000, size: 60 }, timeout: 120_000 }
  )

  it("is that of each simple value", () => {
    for (let choice = 0; choice < 45; choice++) {
      for (const describe of all) holds(describe(Hostile.build([choice])), 2_000)
    }
  })

  it("is the message of an error, of whatever realm, else its code or name", () => {
    assert.strictEqual(Reason.text(new TypeError("no\n  such thing")), "no such thing")
    assert.strictEqual(Reason.text(runInNewContext("new RangeError('elsewhere')")), "elsewhere")
    assert.strictEqual(Reason.text(Object.assign(new Error(), { code: "ECONNREFUSED" })), "ECONNREFUSED")
    assert.strictEqual(Reason.text(new TypeError()), "TypeError")
    assert.strictEqual(Reason.text({ sku: "tea", left: [1, { a: 2n }] }), '{"sku":"tea","left":[1,{"a":2}]}')
  })

  it("is that of the cause where an error only wraps", () => {
    assert.strictEqual(Reason.text(new AggregateError([new Error("refused")])), "refused")
    assert.strictEqual(
      Reason.text(new Cause.UnknownError(new Error("refused"), "An error occurred in Effect.try")),
      "refused"
    )
    assert.strictEqual(Reason.text(Cause.die(new Error("refused"))), "refused")
  })

  it("names every cause of an error once", () => {
    const inner = new Error("refused")
    const outer = new Error("the query failed", { cause: new Error("the pool: refused", { cause: inner }) })
    inner.cause = outer
    assert.strictEqual(Reason.chain(outer), "the query failed: the pool: refused")
    assert.match(Reason.full(outer), /^Error: the query failed\n +at [^]*\[cause\]: Error: the pool: refused\n +at /)
  })

  it("has the message of an error that computes it, with its stack", () => {
    class Computed extends Error {
      override readonly name = "Computed"
      override get message() {
        return "computed"
      }
    }
    assert.match(Reason.full(new Computed()), /^Computed: computed\n +at /)
  })
})
