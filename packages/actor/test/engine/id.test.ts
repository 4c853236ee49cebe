import { assert, describe, it } from "@effect/vitest"
import * as Id from "../../src/engine/id.ts"

const version8 = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe("the id of a message, as the inbox keeps it", () => {
  it("is the UUID that the message came with, in lower case", () => {
    assert.strictEqual(Id.ofMessage("01900000-0000-7000-8000-00000000000a"), "01900000-0000-7000-8000-00000000000a")
    assert.strictEqual(Id.ofMessage("01900000-0000-7000-8000-00000000000A"), "01900000-0000-7000-8000-00000000000a")
  })

  it("is a UUIDv8 of any other text, and never another: ids in inboxes outlive the code", () => {
    const golden = {
      "": "b1f1e1ef-a042-8888-b46c-b01744e905f3",
      "order-1": "dcfcdc6c-e76c-85af-834f-2e3a5abd856c",
      "ö €": "7e8196f9-6724-855e-b03e-d05f367b6fe2",
      "01900000-0000-7000-8000-00000000000": "4d31d8e8-b9fd-8e80-886d-deb3f8159951"
    }
    for (const [text, id] of Object.entries(golden)) {
      assert.strictEqual(Id.ofMessage(text), id)
      assert.match(id, version8)
    }
  })

  it("differs for texts that differ in case or space", () => {
    const ids = ["order-1", "Order-1", " order-1", "order-1 ", "order-10"].map(Id.ofMessage)
    assert.strictEqual(new Set(ids).size, ids.length)
  })
})

describe("the id of what a turn stages", () => {
  const input = "01900000-0000-7000-8000-000000000000"

  it("is a UUIDv8 of consumer, input and ordinal, and never another: a turn that runs again stages the same", () => {
    const golden = [
      ["orders.Order", 0, "553678bd-a2c0-8d16-b2ad-ffa91dfca9a3"],
      ["orders.Order", 1, "cc29bb7e-c478-8925-9bf2-b11b7c957338"],
      ["orders.Order", -1, "dd71ec16-8813-8c85-9946-5085c2edda80"],
      ["shipping.fulfilment", 0, "8075e8a9-c95f-8103-9146-57d9268c8aac"]
    ] as const
    for (const [consumer, ordinal, id] of golden) {
      assert.strictEqual(Id.derived(consumer, input, ordinal), id)
      assert.match(id, version8)
    }
  })

  it("differs where consumer, input or ordinal differ", () => {
    const ids = ["orders.Order", "orders.Order1"].flatMap((consumer) =>
      [input, input.replace(/0$/, "1")].flatMap((id) =>
        Array.from({ length: 250 }, (_, ordinal) => Id.derived(consumer, id, ordinal - 1))
      )
    )
    assert.strictEqual(new Set(ids).size, 1_000)
    for (const id of ids) assert.match(id, version8)
  })
})

describe("the hash of a request", () => {
  it("is SHA-256 of type, key and body, and never another", () => {
    assert.strictEqual(
      Id.ofRequest("orders.Order.place", "o-1", '{"n":1}'),
      "1a59c3477a88a09767048e4b102e909c1b0a7f29fd5db3edfeb6a4d181040696"
    )
  })

  it("differs where one of them differs, also when only the border between them moves", () => {
    const hashes = [
      Id.ofRequest("a.B.c", "d", "e"),
      Id.ofRequest("a.B.cd", "", "e"),
      Id.ofRequest("a.B.c", "de", ""),
      Id.ofRequest("a.B.c", "d", "e ")
    ]
    assert.strictEqual(new Set(hashes).size, hashes.length)
  })
})
