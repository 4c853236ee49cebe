import { assert, describe, it } from "@effect/vitest"
import { Contract, EventWire } from "@troupe/contract"
import * as Schema from "effect/Schema"

class Money extends Schema.Class<Money>("Money")({ cents: Schema.Int, currency: Schema.String }) {}
const placed = Contract.event({ cents: Schema.Int })
  .next({ cents: Schema.Int, currency: Schema.String }, ({ cents }) => ({ cents, currency: "EUR" }))
  .next({ total: Money }, (old) => ({ total: old }))
const wire = EventWire.make(placed)

describe("an event on the wire", () => {
  it("is written in its newest version", () => {
    assert.strictEqual(wire.version, 3)
    const encoded = wire.encode({ total: { cents: 5, currency: "CHF" } })
    assert.strictEqual(encoded.ok && encoded.text, '{"total":{"cents":5,"currency":"CHF"}}')
  })

  it("is read in every version, and is the newest to its reader", () => {
    const newest = { ok: true, value: { total: new Money({ cents: 5, currency: "EUR" }) } } as const
    assert.deepStrictEqual(wire.decode('{"cents":5}', 1), newest)
    assert.deepStrictEqual(wire.decode('{"cents":5,"currency":"CHF"}', 2), {
      ok: true,
      value: { total: new Money({ cents: 5, currency: "CHF" }) }
    })
    assert.deepStrictEqual(wire.decode('{"total":{"cents":5,"currency":"EUR"}}', 3), newest)
  })

  it("is refused in a version that is not known here", () => {
    for (const version of [0, -1, 4, 1.5, Number.NaN]) {
      assert.deepStrictEqual(wire.decode("{}", version), {
        ok: false,
        why: `there is no version ${version} here: the newest is 3`
      })
    }
  })

  it("is refused when it is not of its version, or its upcast fails", () => {
    assert.isFalse(wire.decode('{"cents":"5"}', 1).ok)
    const broken = (up: () => never) => EventWire.make(Contract.event({}).next({ n: Schema.Int }, up)).decode("{}", 1)
    const thrown = broken(() => {
      throw new Error("no luck")
    })
    assert.deepStrictEqual(thrown, { ok: false, why: "the upcast of version 1 failed: no luck" })
    assert.deepStrictEqual(
      broken(() => ({ n: "x" }) as never),
      { ok: false, why: 'Expected number\n  at ["n"]' }
    )
  })
})
