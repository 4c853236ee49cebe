import { assert, describe, it } from "@effect/vitest"
import { Position } from "@troupe/nats"

const after = { seq: 40, id: "x", at: 1_000_000, created: 7 }
const log = { created: 7, first: 1, last: 60, keeps: false }
const kept = { ...log, keeps: true }
const codeOf = (...parameters: Parameters<typeof Position.judge>) => Position.judge(...parameters)?.code

describe("a stream, compared with what was read of it,", () => {
  it.each([
    ["has the same message there", after, log, after, undefined],
    ["has it with a time that is rounded otherwise", after, log, { ...after, at: after.at + 1 }, undefined],
    ["has another message there", after, log, { ...after, id: "y" }, "TRP0408"],
    ["has the same message there, stored again", after, log, { ...after, at: after.at + 60_000 }, "TRP0408"],
    ["has another one without an id there", { ...after, id: "" }, log, { ...after, id: "", at: 5 }, "TRP0408"],
    ["ends before", after, { ...log, last: 39 }, undefined, "TRP0408"],
    ["ends there", after, { ...log, last: 40 }, after, undefined],
    ["was created anew", after, { ...log, created: 8 }, after, "TRP0408"],
    ["was created anew and has passed it", after, { ...log, created: 8, first: 50 }, undefined, "TRP0408"],
    ["has nothing there any more, which another partition's owner may have purged", after, log, undefined, undefined],
    ["begins right behind it", after, { ...log, first: 41 }, undefined, undefined],
    ["begins later", after, { ...log, first: 42 }, undefined, "TRP0407"],
    ["begins later, since others purged what they had handled", after, { ...kept, first: 42 }, undefined, undefined],
    ["is empty, and all of it was read", after, { ...log, first: 41, last: 40 }, undefined, undefined],
    ["is as an old mark says, which knows no times", { seq: 40, id: "x" }, log, after, undefined],
    ["is not as an old mark says", { seq: 40, id: "y" }, log, after, "TRP0408"],
    ["was never read", { seq: 0, id: "", at: 0, created: 7 }, log, undefined, undefined]
  ] as const)("%s", (_, after, log, there, code) => assert.strictEqual(codeOf(after, log, there), code))

  it.each([
    ["is there", 3, undefined],
    ["is there, and more has come", 5, undefined],
    ["is not all there", 2, "TRP0407"]
  ] as const)("begins later, and what was known to wait %s", (_, left, code) =>
    assert.strictEqual(codeOf({ ...after, left: 3 }, { ...kept, first: 42 }, undefined, left), code)
  )
})
