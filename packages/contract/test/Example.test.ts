import { assert, describe, it } from "@effect/vitest"
import { Contract } from "@troupe/contract"
import { OpenApi } from "@troupe/contract/document"
import * as Schema from "effect/Schema"

type Fields = Contract.Fields
const S = Schema

/** The example that the document has for a payload. */
const example = (payload: Fields): unknown => {
  const Cart = Contract.actor({ key: S.String, commands: { add: Contract.command({ payload }) } })
  const { paths } = OpenApi.make([Contract.make("carts", { Cart })]) as {
    readonly paths: { readonly [path: string]: { readonly post: { readonly requestBody: Body } } }
  }
  return paths["/v1/carts/Cart/{key}/add"]?.post.requestBody.content["application/json"].example
}
interface Body {
  readonly content: { readonly "application/json": { readonly example?: unknown } }
}

describe("an example of a payload", () => {
  it("says what its fields are called, and leaves out what is optional", () => {
    assert.deepStrictEqual(example({ sku: S.String, note: S.optionalKey(S.String) }), { sku: "sku" })
    assert.deepStrictEqual(example({ n: S.Int.check(S.isGreaterThan(4)), on: S.Boolean }), { n: 5, on: true })
    assert.deepStrictEqual(example({ ["__proto__"]: S.Int, constructor: S.Int }), {
      ["__proto__"]: 1,
      constructor: 1
    })
  })

  it("is the one of the schema, where that is right", () => {
    const Sku = S.String.check(S.isPattern(/^Q{3}$/u))
    assert.deepStrictEqual(example({ sku: Sku.annotate({ examples: ["QQQ"] }) }), { sku: "QQQ" })
    assert.isUndefined(example({ sku: Sku.annotate({ examples: ["Q"] }) }))
    assert.isUndefined(example({ sku: Sku }))
  })

  it("suits types that are text on the wire, each by itself", () => {
    const at = "2026-01-31T12:00:00.000Z"
    assert.deepStrictEqual(example({ at: S.Date, big: S.BigInt, url: S.URL, sku: S.String }), {
      at,
      big: "1",
      url: "https://example.com/",
      sku: "sku"
    })
  })

  it("is small, whatever the schema allows", () => {
    type Sum = readonly [Sum, Sum, Sum] | number
    const Sum: Schema.Codec<Sum> = S.Union([
      S.Tuple([S.suspend(() => Sum), S.suspend(() => Sum), S.suspend(() => Sum)]),
      S.Int
    ]).annotate({ identifier: "Sum" })
    assert.deepStrictEqual(example({ sum: Sum }), { sum: 1 })
    assert.isUndefined(example({ text: S.String.check(S.isMinLength(2 ** 30)) }))
    assert.isUndefined(example({ list: S.Array(S.Int).check(S.isMinLength(2 ** 30)) }))
    interface Endless {
      readonly next: Endless
    }
    const Endless: Schema.Codec<Endless> = S.Struct({ next: S.suspend((): Schema.Codec<Endless> => Endless) }).annotate(
      {
        identifier: "Endless"
      }
    )
    assert.isUndefined(example({ endless: Endless }))
  })
})
