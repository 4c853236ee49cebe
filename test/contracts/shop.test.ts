import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Orders } from "@shop/orders"
import { Payments } from "@shop/payments"
import { Shipping } from "@shop/shipping"
import { Contract, EventWire } from "@troupe/contract"
import { Compatibility, Document } from "@troupe/contract/document"

interface Recorded {
  readonly type: string
  readonly version: number
  readonly text: string
}
const read = (...path: ReadonlyArray<string>) => readFileSync(resolve(import.meta.dirname, ...path), "utf8")

describe.each([Orders, Payments, Shipping])("the contract of $~service", (contract) => {
  const service = contract["~service"]
  const events = Contract.actors(contract).flatMap((actor) => Object.values(actor.events))
  const recorded: ReadonlyArray<Recorded> = JSON.parse(read("recorded", `${service}.json`))

  it("is as published, and breaks nobody who has it", () => {
    const folder = `services/${service}/contract`
    const text = read("../..", folder, "contract.json")
    const published = Document.parse(text)
    if ("why" in published) return assert.fail(published.why)
    const now = Document.make(contract)
    const broken = Compatibility.diff(published, now).filter(({ breaks }) => breaks !== "nobody")
    const write = `npm run -s troupe -- contract export ${folder}/src/contract.ts > ${folder}/contract.json`
    assert.deepStrictEqual(broken, [], `if everybody knows of it, write it: ${write}`)
    assert.strictEqual(text, Document.text(now), `the file is stale: ${write}`)
  })

  it("reads every version of its events, as they were recorded", () => {
    const versions = events.flatMap(({ definition, type }) =>
      Array.from({ length: definition.version }, (_, i) => `${type} ${i + 1}`)
    )
    const there = recorded.map(({ type, version }) => `${type} ${version}`)
    assert.deepStrictEqual(there.sort(), versions.sort())
    for (const { text, type, version } of recorded) {
      const event = events.find((event) => event.type === type)
      if (event === undefined) return assert.fail(`nobody says ${type}`)
      const decoded = EventWire.make(event.definition).decode(text, version)
      assert.isTrue(decoded.ok, `${type} ${version}: ${JSON.stringify(decoded)}`)
    }
  })
})

describe("an order that was placed before currencies were told", () => {
  it("is in euros, of an unknown customer", () => {
    const [placed] = JSON.parse(read("recorded/orders.json")) as ReadonlyArray<Recorded>
    assert.deepStrictEqual(EventWire.make(Orders.Order.events.placed.definition).decode(placed?.text ?? "", 1), {
      ok: true,
      value: { cents: 1250, currency: "EUR", customer: "unknown" }
    })
  })
})
