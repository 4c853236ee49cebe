import { assert, describe, it } from "@effect/vitest"
import { type Encoded, Json } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Getter from "effect/SchemaGetter"

class Line extends Schema.Class<Line>("Line")({ sku: Schema.String, cents: Schema.Int }) {}
class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { sku: Schema.String }) {}
class Closed extends Schema.TaggedError<Closed>()("Closed", {}) {}

const why = (result: { readonly ok: boolean; readonly why?: string }): string => (result.ok ? "" : (result.why ?? ""))
const text = (encoded: Encoded): string => (encoded.ok ? encoded.text : assert.fail(encoded.why))

const thrownValue = (value: unknown): never => {
  throw value
}

describe("JSON by a schema", () => {
  const order = Json.make(Schema.Struct({ lines: Schema.NonEmptyArray(Line), at: Schema.Date, total: Schema.BigInt }))
  const plain = { lines: [{ sku: "tea", cents: 450 }], at: new Date(0), total: 2n ** 64n }

  it("takes plain objects where a schema is a class, and gives instances", () => {
    const encoded = text(order.encode(plain))
    assert.strictEqual(
      encoded,
      '{"lines":[{"sku":"tea","cents":450}],"at":"1970-01-01T00:00:00.000Z","total":"18446744073709551616"}'
    )
    assert.strictEqual(text(order.encode({ ...plain, lines: [new Line(plain.lines[0]!)] })), encoded)
    const built = order.encode(plain)
    assert.isTrue(built.ok && (built.value as typeof plain).lines[0] instanceof Line)
    const decoded = order.decode(encoded)
    const { at, lines } = decoded.ok ? (decoded.value as typeof plain) : assert.fail(decoded.why)
    assert.isTrue(lines[0] instanceof Line)
    assert.deepStrictEqual(at, new Date(0))
  })

  it.prop(
    "comes back",
    [Schema.Struct({ s: Schema.String, n: Schema.Finite, o: Schema.optionalKey(Schema.Boolean) })],
    ([value]) => {
      const wire = Json.make(
        Schema.Struct({ s: Schema.String, n: Schema.Finite, o: Schema.optionalKey(Schema.Boolean) })
      )
      // JSON has no -0.
      const known = { ...value, n: value.n === 0 ? 0 : value.n }
      assert.deepStrictEqual(wire.decode(text(wire.encode(known))), { ok: true, value: known })
    }
  )

  it("is empty for void, whatever a handler returned", () => {
    const nothing = Json.make(Schema.Void)
    for (const value of [undefined, null, 5, { a: 1 }]) assert.strictEqual(text(nothing.encode(value)), "")
    for (const body of ["", "null"]) assert.deepStrictEqual(nothing.decode(body), { ok: true, value: undefined })
    assert.isFalse(Json.make(Schema.Int).decode("").ok)
    assert.isFalse(Json.make(Schema.Undefined).encode(5).ok)
  })

  it("tells the errors of a union apart", () => {
    const errors = Json.make(Schema.Union([OutOfStock, Closed]))
    const decoded = errors.decode(text(errors.encode(new OutOfStock({ sku: "tea" }))))
    assert.isTrue(decoded.ok && decoded.value instanceof OutOfStock)
    assert.isFalse(Json.make(Schema.Union([])).encode(new Closed()).ok)
  })

  it("says where and why it failed, in at most 500 characters", () => {
    assert.strictEqual(
      why(order.encode({ ...plain, lines: [{ sku: 1, cents: 2 }] })),
      'Expected string\n  at ["lines"][0]["sku"]'
    )
    assert.strictEqual(why(order.decode('{"lines":[{"sku":1}]}')), 'Expected string\n  at ["lines"][0]["sku"]')
    assert.include(why(order.encode({ ...plain, at: new Date(Number.NaN) })), "at")
    assert.include(why(order.decode("{")), "JSON")
    assert.include(why(order.decode("")), "JSON")
    const long = Json.make(Schema.Literals(Array.from({ length: 200 }, (_, i) => `literal-${i}`)))
    for (const failed of [long.encode("x"), long.decode('"x"')]) {
      assert.isFalse(failed.ok)
      assert.isAtMost(why(failed).length, 500)
    }
  })

  it("fails for what JSON cannot say", () => {
    const cycle: { self?: object } = {}
    cycle.self = cycle
    for (const value of [cycle, () => 1, Symbol("s"), undefined, { n: 1n }])
      assert.isFalse(Json.make(Schema.Unknown).encode(value).ok)
  })

  describe("never throws", () => {
    interface Chain {
      readonly next?: Chain
    }
    const Chain: Schema.Codec<Chain> = Schema.Struct({
      next: Schema.optionalKey(Schema.suspend((): Schema.Codec<Chain> => Chain))
    })
    const deep = (levels: number): { readonly text: string; readonly value: Chain } => {
      let value: Chain = {}
      for (let level = 0; level < levels; level++) value = { next: value }
      return { text: `${'{"next":'.repeat(levels)}{}${"}".repeat(levels)}`, value }
    }

    it("for a value that is nested too deeply, and goes on after it", () => {
      const chain = Json.make(Chain)
      const { text: long, value } = deep(20_000)
      const tooDeep = { ok: false, why: "it is nested too deeply" } as const
      assert.deepStrictEqual(chain.decode(long), tooDeep)
      assert.deepStrictEqual(chain.encode(value), tooDeep)
      const short = deep(100)
      assert.strictEqual(text(chain.encode(short.value)), short.text)
      assert.deepStrictEqual(chain.decode(short.text), { ok: true, value: short.value })
    })

    it("for an issue whose place is nested too deeply to be said", () => {
      for (let levels = 100; levels <= 20_000; levels += 500) {
        const decoded = Json.make(Chain).decode(`${'{"next":'.repeat(levels)}5${"}".repeat(levels)}`)
        assert.isFalse(decoded.ok)
        assert.isAtMost(why(decoded).length, 500)
      }
    })

    const thrown = () => {
      throw new Error("no luck")
    }
    const silent = new Error("")
    Object.defineProperty(silent, "message", { get: thrown })
    const both = (getter: () => never) => ({ decode: Getter.transform(getter), encode: Getter.transform(getter) })

    it.each([
      ["a check", Schema.String.check(Schema.makeFilter(thrown))],
      ["a transformation", Schema.String.pipe(Schema.decodeTo(Schema.String, both(thrown)))],
      ["a suspended schema", Schema.suspend(thrown)],
      ["a check that throws no error", Schema.String.check(Schema.makeFilter(() => thrownValue("no luck")))]
    ])("for %s that throws", (_, schema) => {
      for (const failed of [Json.make(schema).encode("x"), Json.make(schema).decode('"x"')]) {
        assert.isFalse(failed.ok)
        assert.include(why(failed), "no luck")
      }
    })

    it("for an error that cannot be read", () => {
      const schema = Schema.String.check(Schema.makeFilter(() => thrownValue(silent)))
      for (const failed of [Json.make(schema).encode("x"), Json.make(schema).decode('"x"')])
        assert.deepStrictEqual(failed, { ok: false, why: "Error" })
    })

    it("for a schema that waits", () => {
      const slow = Getter.transformEffect((value: string) => Effect.as(Effect.sleep(1), value))
      const schema = Schema.String.pipe(Schema.decodeTo(Schema.String, { decode: slow, encode: slow }))
      for (const failed of [Json.make(schema).encode("x"), Json.make(schema).decode('"x"')]) {
        assert.isFalse(failed.ok)
        assert.isNotEmpty(why(failed))
      }
    })

    it("for a value whose property throws", () => {
      const value = Object.defineProperty({}, "n", { get: thrown, enumerable: true })
      const failed = Json.make(Schema.Struct({ n: Schema.Int })).encode(value)
      assert.deepStrictEqual(failed, { ok: false, why: "no luck" })
    })
  })
})
