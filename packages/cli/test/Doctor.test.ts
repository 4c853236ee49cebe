import { assert, describe, it } from "@effect/vitest"
import { clock } from "../src/doctor/clock.ts"
import { failed, fail, ok, warn } from "../src/doctor/Finding.ts"
import { node } from "../src/doctor/node.ts"
import { healthy, report } from "../src/doctor/report.ts"

describe("doctor", () => {
  it("takes a clock for the same within what the question took", () => {
    assert.strictEqual(clock("c", 1_500, 1_000, 2_000).says, "the same as here")
    assert.strictEqual(clock("c", 2_900, 1_000, 2_000).status, "ok")
    assert.deepInclude(clock("c", 3_000, 1_000, 2_000), { status: "fail", says: "1.000 s ahead of this machine" })
    assert.deepInclude(clock("c", -4_000, 1_000, 2_000), { status: "fail", says: "5.000 s behind this machine" })
  })

  it("knows which Node.js is too old", () => {
    assert.strictEqual(node("22.19.0").status, "ok")
    assert.strictEqual(node("26.1.0").status, "ok")
    assert.strictEqual(node("22.18.9").status, "fail")
    assert.strictEqual(node("20.20.0").status, "fail")
  })

  it("takes what to do from an error of Troupe's", () => {
    assert.deepStrictEqual(
      failed("nats", new Error("TRP0401 cannot connect · nats://h · refused · check NATS_URL")),
      fail("nats", "TRP0401 cannot connect · nats://h · refused", "check NATS_URL")
    )
    assert.strictEqual(failed("nats", new Error("boom")).says, "boom")
  })

  it("reports a line each, with what to do, and a sum; a warning is no failure", () => {
    const findings = [ok("node", "fine"), warn("stream", "missing", "start it")]
    assert.strictEqual(
      report(findings),
      "ok    node    fine\nwarn  stream  missing\n              → start it\n\n1 ok, 1 to look at, 0 failed"
    )
    assert.isTrue(healthy(findings))
    assert.isFalse(healthy([...findings, fail("a", "b", "c")]))
  })
})
