import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { make, type Scratch } from "./scratch.ts"

/** It builds and packs two packages first. */
const timeout = 60_000

/** Prints the URL of each module that is loaded, also by `require`. */
const trace = `
import { registerHooks } from "node:module"
const loaded = new Set()
registerHooks({
  load: (url, context, next) => {
    loaded.add(url)
    return next(url, context)
  }
})
process.on("exit", () => console.log(JSON.stringify([...loaded])))
`

const imports = `
import { type AlreadyPlaced, OrderId, Orders, type OutOfStock, type Receipt } from "@shop/orders"
import type { Message } from "@troupe/contract"
`
const place = `${imports}
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const message = Orders.Order.at(OrderId.make("o-1")).place({
  customer: "ada",
  lines: [{ sku: "tea", quantity: 2, cents: 450 }]
})
const typed: Equal<typeof message, Message<"orders.Order.place", Receipt, OutOfStock | AlreadyPlaced>> = true
const written = message.target.payload.encode(message.payload)
console.log(JSON.stringify([typed, message.to, message.key, written.ok && written.text]))
`
const wrong = `${imports}
const order = Orders.Order.at(OrderId.make("o-1"))
order.place({ customer: "ada", lines: [{ sku: "tea", quantity: "2", cents: 450 }] })
order.place({ customer: "ada", lines: [] })
order.place({ customer: "ada" })
order.plaice({})
Orders.Order.at("o-1")
const message: Message<"orders.Order.place", Receipt, OutOfStock> = order.place(null!)
void message
`

describe("@shop/orders and @troupe/contract, packed and installed elsewhere", () => {
  let scratch: Scratch
  beforeAll(async () => {
    scratch = await make({ "@troupe/contract": "packages/contract", "@shop/orders": "services/orders/contract" })
    await scratch.write("trace.mjs", trace)
    await scratch.write("place.ts", place)
    await scratch.write("wrong.ts", wrong)
    await scratch.write("control.ts", 'import "node:net"\nimport "@shop/orders"\n')
  }, timeout)
  afterAll(() => scratch?.[Symbol.asyncDispose]())

  it("type `place` with its reply and its errors, in declarations that hold by themselves", { timeout }, async () => {
    assert.deepStrictEqual(await scratch.check("place.ts"), { code: 0, output: "" })
  })

  it("refuse what the contract does not declare", { timeout }, async () => {
    const { code, output } = await scratch.check("wrong.ts")
    assert.notStrictEqual(code, 0)
    const lines = output.matchAll(/^wrong\.ts\((\d+),\d+\): error/gm)
    assert.deepStrictEqual(
      Array.from(lines, ([, line]) => wrong.split("\n")[Number(line) - 1]),
      wrong.split("\n").filter((line) => /^order\.|^Orders|^const message/.test(line))
    )
  })

  it("leave nothing of the workspace in their manifests", async () => {
    for (const name of ["@shop/orders", "@troupe/contract"]) {
      const manifest = await scratch.read(`node_modules/${name}/package.json`)
      assert.include(manifest, `"name": "${name}"`)
      for (const own of ["workspace:", "catalog:", "@troupe/source"]) assert.notInclude(manifest, own)
    }
  })

  it("carry what the next version is compared with", async () => {
    const published = JSON.parse(await scratch.read("node_modules/@shop/orders/contract.json"))
    assert.deepInclude(published, { document: 1, service: "orders" })
  })

  const loaded = async (file: string) => {
    const { code, output } = await scratch.run(file, "--import", "./trace.mjs")
    assert.strictEqual(code, 0, output)
    const [urls = "[]", ...printed] = output.trim().split("\n").toReversed()
    return { urls: JSON.parse(urls) as ReadonlyArray<string>, printed }
  }

  it("run under Node.js without conditions, and load no module of Node.js", { timeout }, async () => {
    const { printed, urls } = await loaded("place.ts")
    assert.deepStrictEqual(printed, [
      JSON.stringify([
        true,
        "orders.Order.place",
        "o-1",
        '{"customer":"ada","lines":[{"sku":"tea","quantity":2,"cents":450}]}'
      ])
    ])
    assert.isTrue(urls.some((url) => url.endsWith("/node_modules/@shop/orders/dist/contract.js")))
    assert.isTrue(urls.some((url) => url.endsWith("/node_modules/@troupe/contract/dist/index.js")))
    assert.isFalse(urls.some((url) => url.includes("/src/")))
    assert.deepStrictEqual(
      urls.filter((url) => !url.startsWith("file:")),
      []
    )
  })

  it("are watched by a trace that would see one", { timeout }, async () => {
    const { urls } = await loaded("control.ts")
    assert.deepStrictEqual(
      urls.filter((url) => !url.startsWith("file:")),
      ["node:net"]
    )
  })
})
