import { assert, it } from "@effect/vitest"
import { diff } from "../src/permissions/diff.ts"

const files = (entries: Record<string, string>) => new Map(Object.entries(entries))

it("a policy's diff says what has to change, by file and line", () => {
  const from = files({ "a.sql": "one\ntwo\nthree", "b.sql": "same", "old.sql": "gone" })
  const to = files({ "a.sql": "one\n2\nthree\nfour", "b.sql": "same", "new.sql": "came" })
  const expected = ["a.sql", "- two", "+ 2", "+ four", "new.sql", "+ came", "old.sql", "- gone"]
  assert.deepStrictEqual(diff(from, to), expected)
  assert.deepStrictEqual(diff(from, from), [])
})
