import { assert, describe, it } from "@effect/vitest"
import * as Cache from "../../src/engine/Cache.ts"

const entry = (value: string, size = 1): Cache.Entry => ({ version: 1, value, size })
const held = (cache: Cache.Cache, tokens: string): string =>
  [...tokens].filter((token) => cache.get(token) !== undefined).join("")

describe("the states of a partition in memory", () => {
  it("are what was set last", () => {
    const cache = Cache.make({ entries: 2, size: 100 })
    assert.isUndefined(cache.get("a"))
    cache.set("a", entry("1"))
    cache.set("a", { version: 2, value: "2", size: 1 })
    assert.deepStrictEqual(cache.get("a"), { version: 2, value: "2", size: 1 })
  })

  it("lose the one that was used longest ago: reading and writing are uses", () => {
    const cache = Cache.make({ entries: 3, size: 100 })
    for (const token of "abc") cache.set(token, entry(token))
    cache.get("a")
    cache.set("b", entry("B"))
    cache.set("d", entry("d"))
    assert.strictEqual(held(cache, "abcd"), "abd")
    cache.set("e", entry("e"))
    assert.strictEqual(held(cache, "abcde"), "bde")
  })

  it("lose as many as it takes to stay below the size", () => {
    const cache = Cache.make({ entries: 100, size: 10 })
    for (const token of "abcd") cache.set(token, entry(token, 2))
    cache.set("e", entry("e", 6))
    assert.strictEqual(held(cache, "abcde"), "cde")
  })

  it("count a state that is replaced once", () => {
    const cache = Cache.make({ entries: 100, size: 10 })
    cache.set("a", entry("a", 4))
    for (let n = 0; n < 100; n++) cache.set("b", entry("b", 6))
    assert.strictEqual(held(cache, "ab"), "ab")
    cache.set("b", entry("b", 1))
    cache.set("c", entry("c", 5))
    assert.strictEqual(held(cache, "abc"), "abc")
  })

  it("do not keep one that is larger than all of them may be", () => {
    const cache = Cache.make({ entries: 100, size: 10 })
    cache.set("a", entry("a", 11))
    assert.isUndefined(cache.get("a"))
    cache.set("b", entry("b", 10))
    assert.strictEqual(held(cache, "ab"), "b")
  })
})
