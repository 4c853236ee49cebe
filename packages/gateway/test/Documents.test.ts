import { assert, beforeAll, describe, it, vi } from "@effect/vitest"
import { gateway, json, refused, Shop } from "./shop.ts"

// Each request is logged.
beforeAll(() => void vi.spyOn(console, "log").mockReturnValue())

describe("a gateway that shows its contracts", () => {
  it("shows what it takes to whoever asks, unless it is told not to", async () => {
    await using shop = await gateway()
    const get = (path: string) => shop.fetch(new Request(`http://shop.example${path}`))
    const page = await get("/")
    assert.strictEqual(page.headers.get("content-type"), "text/html; charset=utf-8")
    assert.match(page.headers.get("content-security-policy") ?? "", /^default-src 'none'/)
    assert.include(await page.text(), `"$GATEWAY"'/v1/shop/Order/`.replaceAll('"', "&#34;").replaceAll("'", "&#39;"))
    assert.strictEqual((await json(await get("/openapi.json")))["openapi"], "3.1.1")
    assert.strictEqual((await json(await get("/asyncapi.json")))["asyncapi"], "3.0.0")
    await using behind = await gateway({ url: "https://api.shop.example" })
    assert.include(await (await behind.fetch(new Request("http://h/"))).text(), "https://api.shop.example/v1/shop/")
    await using silent = await gateway({ documents: false })
    for (const path of ["/", "/openapi.json", "/asyncapi.json"])
      assert.deepStrictEqual(await refused(silent.fetch(new Request(`http://h${path}`))), [404, "TRP0701"])
  })

  it("renders each document once, and names no address that a request says", async () => {
    let reads = 0
    const counted = new Proxy(Shop, {
      get: (contract, name) => {
        reads++
        return Reflect.get(contract, name)
      }
    })
    await using shop = await gateway({ contracts: [counted] })
    for (const path of ["/", "/openapi.json", "/asyncapi.json"]) {
      const get = (host: string) => shop.fetch(new Request(`http://${host}${path}`))
      const first = await get("one.example")
      assert.strictEqual(first.headers.get("cache-control"), "public, max-age=60")
      assert.isNull(first.headers.get("vary"), "it does not differ by host")
      const text = await first.text()
      assert.notInclude(text, "one.example")
      const before = reads
      for (const host of ["two.example", "127.0.0.1:1", "one.example"])
        assert.strictEqual(await (await get(host)).text(), text)
      assert.strictEqual(reads, before, `${path} was rendered again`)
    }
    assert.isAbove(reads, 0)
  })

  it("renders a document that cannot be rendered once, too", async () => {
    let reads = 0
    const broken = new Proxy(Shop, {
      get: (contract, name) => {
        // What declares the gateway and finds its commands may read it.
        if (new Error().stack?.includes("/document/") === true && reads++ === 0) throw new Error("no form")
        return Reflect.get(contract, name)
      }
    })
    await using shop = await gateway({ contracts: [broken] })
    for (let i = 0; i < 3; i++)
      assert.deepStrictEqual(await refused(shop.fetch(new Request("http://h/openapi.json"))), [500, "TRP0603"])
    assert.strictEqual(reads, 1)
  })

  it("limits those who ask for documents as it limits one principal, and nobody else by them", async () => {
    await using shop = await gateway({ limits: { rate: { burst: 3, perSecond: 0.001 } } })
    const get = (path: string) => shop.fetch(new Request(`http://h${path}`))
    for (const path of ["/", "/openapi.json", "/asyncapi.json"]) assert.strictEqual((await get(path)).status, 200)
    for (const path of ["/", "/openapi.json", "/asyncapi.json"]) {
      assert.deepStrictEqual(await refused(get(path)), [429, "TRP0708"])
      assert.strictEqual((await get(path)).headers.get("cache-control"), "no-store")
    }
    assert.strictEqual((await shop.post("/v1/shop/Order/o-1/place", JSON.stringify({ cents: 7 }))).status, 200)
  })
})
