import { assert, describe, it } from "@effect/vitest"
import type { DeadLetters } from "@troupe/postgres"
import { letter, page, row, table } from "../src/dead/render.ts"

const one: DeadLetters.DeadLetter = {
  id: 17,
  consumer: "orders.Order",
  partition: 3,
  key: "o-1",
  messageId: "5a1f",
  stream: "CMD_orders",
  sequence: 9,
  subject: "cmd.orders.3.Order.place.o-1",
  headers: { "ce-type": "orders.Order.place" },
  body: new TextEncoder().encode('{"lines":[]}'),
  code: "TRP0301",
  origin: undefined,
  reason: "boom\nand more",
  at: new Date("2026-01-02T03:04:05.678Z"),
  wished: undefined
}
const wished = { kind: "redrive", by: "ada\u001b", at: new Date("2026-01-02T04:00:00.000Z") }

describe("dead letters", () => {
  it("are a table, one line each, that no message can break", () => {
    assert.strictEqual(table([]), "no dead letters")
    const lines = table([one, { ...one, id: 4, key: undefined, reason: "\u001b[31mred", wished }]).split("\n")
    assert.deepStrictEqual(lines, [
      "ID  AT                   CONSUMER      KEY  CODE     WISHED   REASON",
      "17  2026-01-02T03:04:05  orders.Order  o-1  TRP0301  -        boom\\u000aand more",
      "4   2026-01-02T03:04:05  orders.Order  -    TRP0301  redrive  \\u001b[31mred"
    ])
  })

  it("show why, their headers and their payload", () => {
    const shown = page(one)
    for (const part of ["TRP0301 boom", "CMD_orders at 9", "ce-type: orders.Order.place", "12 bytes", '"lines": []']) {
      assert.include(shown, part)
    }
  })

  it("tell what is wished for them, and which message they were first", () => {
    const shown = page({ ...one, wished, origin: "first" })
    assert.include(shown, "wished    redrive, by ada\\u001b at 2026-01-02T04:00:00.000Z, not done yet")
    assert.include(shown, "origin    first")
    for (const none of ["wished", "origin"]) assert.notInclude(page(one), none)
    assert.deepStrictEqual(row({ ...one, wished }).wished, { ...wished, at: "2026-01-02T04:00:00.000Z" })
    assert.isNull(row(one).wished)
  })

  it("are complete for programs; a list leaves out headers and payload", () => {
    assert.deepStrictEqual(letter(one).headers, one.headers)
    assert.strictEqual(letter(one).payload.encoding, "json")
    assert.notProperty(row(one), "headers")
    assert.notProperty(row(one), "body")
    assert.strictEqual(row(one).bytes, 12)
  })
})
