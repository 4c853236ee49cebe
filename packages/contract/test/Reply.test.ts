import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@troupe/contract"

const ask = { id: "ask-1", type: "orders.Order.place" }
const read = (headers: { readonly [name: string]: string }, body = "") =>
  Reply.fromMessage((name) => headers[name], body)

describe("a reply", () => {
  it("says what it answers, and how", () => {
    for (const outcome of ["reply", "error", "rejected"] as const) {
      const reply = { id: "reply-1", outcome, body: '{"cents":1}' }
      const headers = Reply.headers(reply, ask, "orders")
      assert.strictEqual(headers["ce-type"], "orders.Order.place")
      assert.deepStrictEqual(read(headers, reply.body), { ...reply, to: "ask-1" })
    }
  })

  it("is none without its ask, its outcome or its envelope", () => {
    const headers = Reply.headers({ id: "reply-1", outcome: "reply", body: "" }, ask, "orders")
    for (const name of ["ce-id", "ce-source", "Troupe-Causation-Id", "Troupe-Outcome"])
      assert.isUndefined(read({ ...headers, [name]: "" }))
    assert.isUndefined(read({ ...headers, "Troupe-Outcome": "maybe" }))
    assert.isUndefined(read({}))
  })
})
