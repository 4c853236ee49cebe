import { assert, describe, it } from "@effect/vitest"
import { Codes } from "@troupe/contract"

const all = Object.entries(Codes.codes)

describe("the codes", () => {
  it.each(all)("%s says what happened and what to do", (code, { what, todo }) => {
    assert.match(code, /^TRP0[0-7]\d\d$/)
    assert.match(what, /^\S.*\S$/)
    assert.match(todo, /^\S.*\S$/)
    assert.isFalse(/[·\n]/.test(what + todo), "parts are told apart by their dots")
    assert.strictEqual(Codes.text(code as Codes.Code, "it", "why"), `${code} ${what} · it · why · ${todo}`)
  })

  it("are in order, so that each is there once", () => {
    const some = Object.keys(Codes.ofMessages)
    const more = Object.keys(Codes.codes).filter((code) => !some.includes(code))
    for (const codes of [some, more]) assert.deepStrictEqual(codes, [...new Set(codes)].sort())
    assert.strictEqual(some.length + more.length, all.length)
  })
})
