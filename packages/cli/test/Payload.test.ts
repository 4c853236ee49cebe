import { assert, describe, it } from "@effect/vitest"
import { limit, payload } from "../src/dead/payload.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

describe("a payload that is shown", () => {
  it("is set out in lines when it is JSON, with its numbers as they were written", () => {
    assert.deepStrictEqual(payload(bytes('{"a":1.50,"b":[12345678901234567890]}')), {
      encoding: "json",
      text: '{\n  "a": 1.50,\n  "b": [\n    12345678901234567890\n  ]\n}',
      truncated: false
    })
  })

  it("is the text itself when it is other text, and hex when it is none", () => {
    assert.deepStrictEqual(payload(bytes("grüezi\n")), { encoding: "text", text: "grüezi\n", truncated: false })
    assert.deepStrictEqual(payload(Uint8Array.of(0xff, 0x00)), { encoding: "hex", text: "ff00", truncated: false })
    assert.strictEqual(payload(bytes("\u001b[31m")).encoding, "hex")
    assert.strictEqual(payload(Uint8Array.of()).text, "")
  })

  it("is bounded, and no character is cut in two", () => {
    const long = payload(bytes(`x${"ü".repeat(limit)}`))
    assert.isTrue(long.truncated)
    assert.strictEqual(long.encoding, "text")
    assert.isAtMost(bytes(long.text).length, limit)
    assert.notInclude(long.text, "\ufffd")
    const binary = payload(new Uint8Array(2 * limit))
    assert.isTrue(binary.truncated)
    assert.strictEqual(binary.text.replaceAll("\n", "").length, 2 * limit)
  })

  it("stays as it is where setting it out would be endless", () => {
    for (const depth of [4_000, limit / 2]) {
      const deep = "[".repeat(depth) + "]".repeat(depth)
      assert.strictEqual(payload(bytes(deep)).text, deep)
    }
  })
})
