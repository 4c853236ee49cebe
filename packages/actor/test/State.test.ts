import { State } from "@troupe/actor"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"

class Money extends Schema.Class<Money>("Money")({ cents: Schema.Int, currency: Schema.String }) {}

const wallet = State.make(Schema.Struct({ cents: Schema.Int }))
  .next(Schema.Struct({ cents: Schema.Int, currency: Schema.String }), ({ cents }) => ({ cents, currency: "EUR" }))
  .next(Schema.Struct({ total: Money }), (old) => ({ total: old }))

describe("a state in the database", () => {
  const wire = State.wire(wallet)

  it("is stored in its newest shape", () => {
    assert.strictEqual(wire.version, 3)
    const stored = wire.encode({ total: { cents: 5, currency: "CHF" } })
    assert.strictEqual(stored.ok && stored.text, '{"total":{"cents":5,"currency":"CHF"}}')
  })

  it("is loaded in every shape, and is the newest to its handler, instances of classes included", () => {
    const newest = { ok: true, value: { total: new Money({ cents: 5, currency: "EUR" }) } } as const
    assert.deepStrictEqual(wire.decode('{"cents":5}', 1), newest)
    assert.deepStrictEqual(wire.decode('{"cents":5,"currency":"CHF"}', 2), {
      ok: true,
      value: { total: new Money({ cents: 5, currency: "CHF" }) }
    })
    assert.deepStrictEqual(wire.decode('{"total":{"cents":5,"currency":"EUR"}}', 3), newest)
    const raised = wire.decode('{"cents":5}', 1)
    assert.isTrue(raised.ok && (raised.value as { total: unknown }).total instanceof Money)
  })

  it("is refused in a shape that is not known here", () => {
    for (const shape of [0, -1, 4, 1.5, Number.NaN]) {
      assert.deepStrictEqual(wire.decode('{"cents":5}', shape), {
        ok: false,
        why: `there is no shape ${shape} here: the newest is 3`
      })
    }
  })

  it("is refused when it is not of its shape", () => {
    assert.deepStrictEqual(wire.decode('{"cents":"5"}', 1), { ok: false, why: 'Expected number\n  at ["cents"]' })
    assert.isFalse(wire.decode('{"cents":5}', 3).ok)
    assert.isFalse(wire.decode("", 1).ok)
  })

  const raising = (up: () => never) =>
    State.wire(State.make(Schema.Struct({})).next(Schema.Struct({ n: Schema.Int }), up)).decode("{}", 1)

  it("is refused when its upcast throws", () => {
    const thrown = raising(() => {
      throw new Error("no luck")
    })
    assert.deepStrictEqual(thrown, { ok: false, why: "the upcast of shape 1 failed: no luck" })
  })

  it("is refused when its upcast gives what the newest shape is not", () => {
    assert.deepStrictEqual(
      raising(() => ({ n: "x" }) as never),
      { ok: false, why: 'Expected number\n  at ["n"]' }
    )
    assert.isFalse(raising(() => undefined as never).ok)
    assert.isFalse(raising(() => ({ n: 1.5 }) as never).ok)
  })

  it("may be a bare schema: its first shape", () => {
    const bare = State.wire(State.of(Money))
    assert.strictEqual(bare.version, 1)
    const { ok } = bare.encode({ cents: 1, currency: "EUR" })
    assert.isTrue(ok)
    assert.strictEqual(State.of(wallet), wallet)
  })
})
