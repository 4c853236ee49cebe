import { existsSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as Self from "../src/Self.ts"

describe("a child of this program", () => {
  it("runs the same file under the same flags, but not under the debugger's port", () => {
    assert.isTrue(existsSync(Self.main))
    assert.deepStrictEqual(
      Self.nodeFlags(["--conditions=@troupe/source", "--inspect-brk=9229", "--watch", "--enable-source-maps"]),
      ["--conditions=@troupe/source", "--enable-source-maps"]
    )
  })
})
