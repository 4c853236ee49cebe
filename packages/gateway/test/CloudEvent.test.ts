import { assert, beforeAll, describe, it, vi } from "@effect/vitest"
import { gateway } from "./shop.ts"

beforeAll(() => void vi.spyOn(console, "log").mockReturnValue())

const event = {
  specversion: "1.0",
  id: "k-1",
  source: "/till",
  type: "shop.Order.place",
  subject: "tea/grün",
  data: { cents: 7 }
}
const structured = { "content-type": "application/cloudevents+json; charset=utf-8" }
const binary = {
  "ce-specversion": "1.0",
  "ce-id": "k-1",
  "ce-source": "/till",
  "ce-type": "shop.Order.place",
  "ce-subject": "tea/gr%C3%BCn"
}

describe("a CloudEvent", () => {
  it("is a command, in structured and in binary mode, with its source and id as idempotency key", async () => {
    await using shop = await gateway()
    const byPath = await shop.post("/v1/shop/Order/tea%2Fgr%C3%BCn/place", '{"cents":7}', { "idempotency-key": "k-1" })
    assert.strictEqual(byPath.status, 200)
    for (const [body, headers] of [
      [JSON.stringify(event), structured],
      ['{"cents":7}', binary]
    ] as const) {
      const answer = await shop.post("/v1/shop", body, headers)
      assert.deepStrictEqual([answer.status, await answer.json()], [200, { cents: 7 }])
      const { id, message } = shop.asked.at(-1)!
      assert.deepStrictEqual([message.to, message.key, message.payload], ["shop.Order.place", "tea/grün", { cents: 7 }])
      assert.notStrictEqual(id, shop.asked[0]?.id)
      assert.strictEqual(id, shop.asked[1]?.id)
      const said = Object.fromEntries([...answer.headers].filter(([name]) => name.startsWith("ce-")))
      assert.deepStrictEqual(said, {
        "ce-specversion": "1.0",
        "ce-id": `${id}.reply`,
        "ce-source": "shop",
        "ce-type": "shop.Order.place.reply",
        "ce-subject": "tea%2Fgr%C3%BCn"
      })
    }
    assert.isNull(byPath.headers.get("ce-id"))
  })

  it("of another source is another one, though its id is the same", async () => {
    await using shop = await gateway()
    for (const source of ["/till/1", "/till/2", "/till/1"])
      await shop.post("/v1/shop", JSON.stringify({ ...event, source }), structured)
    const [first, other, again] = shop.asked.map(({ id }) => id)
    assert.notStrictEqual(first, other)
    assert.strictEqual(first, again)
  })

  it("without data has the empty payload", async () => {
    await using shop = await gateway()
    const { data: _, ...rest } = { ...event, type: "shop.Order.clear" }
    assert.strictEqual((await shop.post("/v1/shop", JSON.stringify(rest), structured)).status, 204)
    assert.deepStrictEqual(shop.asked[0]?.message.payload, {})
  })

  it("that is none, or no command of the service, is refused", async () => {
    await using shop = await gateway()
    const changed = (change: object) => JSON.stringify({ ...event, ...change })
    const cases: ReadonlyArray<readonly [string, Record<string, string>, number]> = [
      ["{", structured, 400],
      ["[]", structured, 400],
      [`{"data":${"[".repeat(400_000)}${"]".repeat(400_000)}}`, structured, 400],
      [
        changed({ data: 1 }).replace('"data":1', `"data":${"[".repeat(400_000)}${"]".repeat(400_000)}`),
        structured,
        400
      ],
      [changed({ specversion: "0.3" }), structured, 400],
      [changed({ id: "" }), structured, 400],
      [changed({ id: 7 }), structured, 400],
      [changed({ id: "k".repeat(256) }), structured, 400],
      [changed({ source: undefined }), structured, 400],
      [changed({ subject: undefined }), structured, 400],
      [changed({ subject: "x".repeat(250) }), structured, 400],
      [changed({ data: { cents: "7" } }), structured, 400],
      [changed({ datacontenttype: "text/xml" }), structured, 415],
      [changed({ data: undefined, data_base64: "e30=" }), structured, 415],
      [JSON.stringify([event]), { "content-type": "application/cloudevents-batch+json" }, 415],
      [changed({ type: "shop.Order.nothing" }), structured, 404],
      [changed({ type: "shop.__proto__" }), structured, 404],
      [changed({ type: "other.Order.place" }), structured, 404],
      ['{"cents":7}', {}, 400],
      ['{"cents":7}', { ...binary, "ce-subject": "%ff" }, 400],
      ['{"cents":7}', { ...binary, "ce-specversion": "2" }, 400]
    ]
    for (const [body, headers, status] of cases)
      assert.strictEqual((await shop.post("/v1/shop", body, headers)).status, status, body.slice(0, 200))
    assert.strictEqual((await shop.post("/v1/other", JSON.stringify(event), structured)).status, 404)
    assert.lengthOf(shop.asked, 0)
  })
})
