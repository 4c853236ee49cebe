import { assert, describe, it } from "@effect/vitest"
import { Key } from "@troupe/contract"
import * as Schema from "effect/Schema"

describe("a key", () => {
  it.prop("comes back from its token, or has none", [Schema.String.check(Schema.isMaxLength(220))], ([key]) => {
    const token = Key.encode(key)
    if (token === undefined) {
      assert.isTrue(key === "" || !key.isWellFormed() || bytes(key) > 66, "it is refused with a reason")
      return
    }
    assert.strictEqual(Key.decode(token), key)
    assert.match(token, /^[!-)+\-,/-=?-~]+$/, "it is one subject token: printable, no `.`, `*` or `>`")
    assert.isAtMost(token.length, Key.maxBytes)
  })

  it.prop("has exactly one token", [Schema.String.check(Schema.isMaxLength(40))], ([token]) => {
    const key = Key.decode(token)
    if (key !== undefined) assert.strictEqual(Key.encode(key), token)
  })

  it("is kept readable where a subject can have it", () => {
    assert.strictEqual(Key.encode("order-17_a/b:c@d~$"), "order-17_a/b:c@d~$")
    assert.strictEqual(Key.encode("a.b c*>%"), "a%2Eb%20c%2A%3E%25")
    assert.strictEqual(Key.encode("café 🍵"), "caf%C3%A9%20%F0%9F%8D%B5")
    assert.strictEqual(Key.encode("\u0000\u007f\ufeff"), "%00%7F%EF%BB%BF")
  })

  it("is refused when it is empty, too long or not Unicode", () => {
    assert.strictEqual(Key.encode("k".repeat(200)), "k".repeat(200))
    for (const key of ["", "k".repeat(201), "é".repeat(34), "\ud800", "a\udc00b"]) assert.isUndefined(Key.encode(key))
    assert.strictEqual(Key.encode("é".repeat(33))?.length, 198)
  })

  it("is refused in every other spelling", () => {
    const spellings = [
      "",
      "%41",
      "%2e",
      "%C3%a9",
      "%2",
      "%",
      "%GG",
      "a b",
      "a.b",
      "é",
      "%C3",
      "%C0%80",
      "%ED%A0%80",
      "k".repeat(201)
    ]
    for (const token of spellings) assert.isUndefined(Key.decode(token), token)
    assert.strictEqual(Key.decode("%2E"), ".")
  })
})

describe("a partition", () => {
  it("is FNV-1a, 32 bits", () => {
    // http://www.isthe.com/chongo/src/fnv/test_fnv.c
    const known = { "": 0x811c9dc5, a: 0xe40c292c, b: 0xe70c2de5, foobar: 0xbf9cf968, "chongo was here!\n": 0xd49930d5 }
    for (const [text, hash] of Object.entries(known)) assert.strictEqual(Key.partition(text, 2 ** 32), hash)
  })

  it.prop("is one of those that there are", [Schema.NonEmptyString], ([key]) => {
    const p = Key.partition(Key.encode(key) ?? "x", 16)
    assert.isTrue(Number.isInteger(p) && p >= 0 && p < 16)
  })
})

const bytes = (key: string): number => new TextEncoder().encode(key).length
