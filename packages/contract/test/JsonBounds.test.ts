import { assert, describe, it } from "@effect/vitest"
import { JsonBounds } from "@troupe/contract"
import * as Schema from "effect/Schema"

const everything = { values: Number.POSITIVE_INFINITY, depth: Number.POSITIVE_INFINITY }

/** What a parser sees: values, and the depth of objects and arrays. */
const parsed = (value: unknown): JsonBounds.Bounds => {
  if (typeof value !== "object" || value === null) return { values: 1, depth: 0 }
  const inner = Object.values(value).map(parsed)
  return {
    values: inner.reduce((sum, { values }) => sum + values, 1),
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth))
  }
}

describe("a JSON text", () => {
  it.prop("has the values and the depth that a parser sees, whatever its texts hold", [Schema.Json], ([value]) => {
    const text = JSON.stringify(value)
    assert.deepStrictEqual(JsonBounds.measure(text, everything), parsed(JSON.parse(text)))
  })

  it("may hold brackets, commas and quotes in its texts", () => {
    const value = { 'a,"[{\\': ["]}\\\\", '\\"', "", { "": [] }] }
    assert.deepStrictEqual(JsonBounds.measure(JSON.stringify(value), everything), parsed(value))
  })

  it("keeps a bound up to its last value and level, and is measured no further", () => {
    const bounds = { values: 5, depth: 2 }
    for (const text of ["[1,2,3,4]", '[["a"],[]]', '{"a":{"b":1}}', "", "1", "["])
      assert.isUndefined(JsonBounds.exceeded(text, bounds), text)
    assert.strictEqual(JsonBounds.exceeded("[1,2,3,4,5]", bounds)?.why, "it has more than 5 values")
    assert.strictEqual(JsonBounds.exceeded("[[[]]]", bounds)?.bound, "depth")
    assert.strictEqual(JsonBounds.exceeded("[[[", bounds)?.why, "it is nested deeper than 2")
    assert.deepStrictEqual(JsonBounds.measure(`[${"0,".repeat(1_000)}`, bounds), { values: 6, depth: 1 })
  })

  it("that a payload may be has at most 50,000 values, 100 deep", () => {
    const list = (count: number) => JSON.stringify(Array.from({ length: count }, () => 0))
    assert.isUndefined(JsonBounds.exceeded(list(49_999)))
    assert.strictEqual(JsonBounds.exceeded(list(50_000))?.bound, "values")
    assert.isUndefined(JsonBounds.exceeded("[".repeat(100)))
    assert.strictEqual(JsonBounds.exceeded("[".repeat(101))?.bound, "depth")
  })
})
