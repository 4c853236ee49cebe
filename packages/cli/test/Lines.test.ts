import { assert, describe, it } from "@effect/vitest"
import * as Lines from "../src/dev/Lines.ts"

describe("lines", () => {
  it("are found wherever the text was cut", () => {
    const lines = Lines.make()
    assert.deepStrictEqual(lines.push("one\ntw"), ["one"])
    assert.deepStrictEqual(lines.push("o"), [])
    assert.deepStrictEqual(lines.push("\r\n\nthree"), ["two", ""])
    assert.deepStrictEqual(lines.end(), ["three"])
    assert.deepStrictEqual(lines.end(), [])
  })

  it("are bounded, and say how much is left out", () => {
    const lines = Lines.make(4)
    assert.deepStrictEqual(lines.push("123456789"), [])
    for (let i = 0; i < 1_000; i++) lines.push("x".repeat(1_000))
    assert.deepStrictEqual(lines.push("\nnext\n"), ["1234… (1000005 more)", "next"])
  })

  it("are kept for an error, the last ones", () => {
    const tail = Lines.tail(2)
    for (const line of ["a", "b", "c"]) tail.push(line)
    assert.deepStrictEqual(tail.all(), ["b", "c"])
  })
})
