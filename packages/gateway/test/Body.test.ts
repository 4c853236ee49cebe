import { assert, beforeAll, describe, it, vi } from "@effect/vitest"
import { gateway, refused } from "./shop.ts"

const place = "/v1/shop/Order/o-1/place"
const order = JSON.stringify({ cents: 7 })

// Each request is logged.
beforeAll(() => void vi.spyOn(console, "log").mockReturnValue())

describe("a body", () => {
  it("that is not what the contract declares is told so", async () => {
    await using shop = await gateway()
    for (const body of [
      "{",
      "[]",
      "null",
      '{"cents":1.5}',
      '{"cents":"7"}',
      "{}",
      '{"cents":7,"at":"soon"}',
      '"',
      '{"cents":7}{}'
    ])
      assert.deepStrictEqual(await refused(shop.post(place, body)), [400, "TRP0201"], body)
    assert.lengthOf(shop.asked, 0)
  })

  it("cannot reach what is common to all objects", async () => {
    await using shop = await gateway()
    const body =
      '{"cents":7,"__proto__":{"admin":true},"more":{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}}'
    assert.strictEqual((await shop.post(place, body)).status, 200)
    assert.isUndefined(({} as Record<string, unknown>)["admin"])
    assert.isUndefined(Object(shop.asked[0]?.message.payload).admin)
  })

  it("that is nested deeper than 100 is refused at once", async () => {
    await using shop = await gateway()
    const deep = (n: number) =>
      `{"more":${"[".repeat(n)}"[[\\"[[\\\\"${"]".repeat(n)},"cents":7,"x":"${"[".repeat(200)}\\""}`
    assert.strictEqual((await shop.post(place, deep(99))).status, 200, "text is not nested")
    for (const n of [100, 10_000, 400_000])
      assert.deepStrictEqual(await refused(shop.post(place, deep(n))), [400, "TRP0704"])
    assert.deepStrictEqual(await refused(shop.post(place, '{"a":'.repeat(200_000))), [400, "TRP0704"])
    for (const open of ['"', '"\\', '{"a":"\\\\\\"'])
      assert.deepStrictEqual(
        await refused(shop.post(place, open)),
        [400, "TRP0201"],
        "what never ends is read to its end"
      )
  })

  it("of more than 50,000 values is refused before it is parsed, as a command and as a CloudEvent", async () => {
    await using shop = await gateway()
    const list = (count: number) => ({ cents: 7, more: Array.from({ length: count }, () => 0) })
    const names = { cents: 7, more: Object.fromEntries(Array.from({ length: 60_000 }, (_, i) => [`n${i}`, 0])) }
    const event = (data: object) =>
      shop.post(
        "/v1/shop",
        JSON.stringify({ specversion: "1.0", type: "shop.Order.place", subject: "o-1", source: "s", id: "1", data }),
        {
          "content-type": "application/cloudevents+json"
        }
      )
    const parse = vi.spyOn(JSON, "parse")
    for (const body of [list(49_998), names]) {
      assert.deepStrictEqual(await refused(shop.post(place, JSON.stringify(body))), [413, "TRP0705"])
      assert.deepStrictEqual(await refused(event(body)), [413, "TRP0705"])
    }
    assert.isTrue(parse.mock.calls.every(([text]) => text.length < 1_000))
    parse.mockRestore()
    assert.strictEqual((await shop.post(place, JSON.stringify(list(49_997)))).status, 200)
    assert.strictEqual((await event(list(49_900))).status, 200)
  })

  it("that is no UTF-8 cannot be read", async () => {
    await using shop = await gateway()
    assert.deepStrictEqual(await refused(shop.post(place, new Uint8Array([0x22, 0xff, 0x22]))), [400, "TRP0704"])
    assert.deepStrictEqual(await refused(shop.post(place, new Uint8Array([0xe2, 0x82]))), [400, "TRP0704"])
  })

  it("that is too large is refused, whether it says so or not, and not kept", async () => {
    await using shop = await gateway({ limits: { body: 1_000 } })
    assert.deepStrictEqual(await refused(shop.post(place, " ".repeat(1_001))), [413, "TRP0705"])
    let pulled = 0
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pulled++
        controller.enqueue(new Uint8Array(100).fill(0x20))
      }
    })
    const init = { duplex: "half" } as RequestInit
    assert.deepStrictEqual(await refused(shop.post(place, endless, {}, init)), [413, "TRP0705"])
    assert.isAtMost(pulled, 13)
    assert.strictEqual((await shop.post(place, order + " ".repeat(1_000 - order.length))).status, 200)
  })

  it("of another type, character set or encoding is refused", async () => {
    await using shop = await gateway()
    const types = [
      { "content-type": "application/x-www-form-urlencoded" },
      { "content-type": "text/plain" },
      { "content-type": "application/cloudevents+json" },
      { "content-type": "application/json; charset=latin1" },
      { "content-type": "application/json; charset=utf-80" },
      { "content-encoding": "gzip" }
    ]
    for (const headers of types)
      assert.deepStrictEqual(await refused(shop.post(place, order, headers)), [415, "TRP0703"], JSON.stringify(headers))
    for (const type of ['Application/JSON; charset="UTF-8"', "application/json;charset=utf8"])
      assert.strictEqual((await shop.post(place, order, { "content-type": type })).status, 200, type)
  })
})
