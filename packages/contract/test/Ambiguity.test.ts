import { assert, describe, it } from "@effect/vitest"
import { Json } from "@troupe/contract"
import * as Chunk from "effect/Chunk"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Ambiguity from "../src/Ambiguity.ts"

const A = Schema.Struct({ a: Schema.Int })
const AB = Schema.Struct({ a: Schema.Int, b: Schema.Int })
class Point extends Schema.Class<Point>("Point")({ x: Schema.Int }) {}
class Place extends Schema.Class<Place>("Place")({ x: Schema.Int, name: Schema.String }) {}
class Lost extends Schema.TaggedError<Lost>()("Lost", { x: Schema.Int }) {}
class Late extends Schema.TaggedError<Late>()("Late", { x: Schema.Int, by: Schema.Int }) {}
interface Tree {
  readonly kind: "tree"
  readonly of: ReadonlyArray<Tree | Leaf>
}
interface Leaf {
  readonly kind: "leaf"
  readonly value: { readonly a: number; readonly b?: number }
}
const Leaf = Schema.Struct({ kind: Schema.Literal("leaf"), value: Schema.Union([A, AB]) })
const Tree: Schema.Codec<Tree, unknown> = Schema.Struct({
  kind: Schema.Literal("tree"),
  of: Schema.Array(Schema.Union([Schema.suspend((): Schema.Codec<Tree, unknown> => Tree), Leaf]))
})

interface Clear {
  readonly kind: "clear"
  readonly of: ReadonlyArray<Clear | number>
}
const Clear: Schema.Codec<Clear, unknown> = Schema.Struct({
  kind: Schema.Literal("clear"),
  of: Schema.Array(Schema.Union([Schema.suspend((): Schema.Codec<Clear, unknown> => Clear), Schema.Int]))
})

const changing: ReadonlyArray<readonly [what: string, Json.Codec, value: unknown, named: RegExp]> = [
  ["a field of a later member", Schema.Union([A, AB]), { a: 1, b: 2 }, /\{ a, b \} and \{ a \}/],
  [
    "an optional one",
    Schema.Union([A, Schema.Struct({ a: Schema.Int, b: Schema.optionalKey(Schema.Int) })]),
    { a: 1, b: 2 },
    /\{ a, b \}/
  ],
  [
    "one of the member in the middle",
    Schema.Union([A, AB, Schema.Struct({ a: Schema.Int, c: Schema.optionalKey(Schema.Int) })]),
    { a: 1, b: 2 },
    /\{ a, b \}/
  ],
  ["a text that is read as a bigint", Schema.Union([Schema.BigInt, Schema.String]), "5", /String and BigInt/],
  ["the same the other way round", Schema.Union([Schema.String, Schema.BigInt]), "5", /String and BigInt/],
  [
    "a text that is read as a date",
    Schema.Union([Schema.Date, Schema.String]),
    "2020-01-01",
    /String and a valid Date/
  ],
  ["a number that is read as a text", Schema.Union([Schema.String, Schema.Number]), Number.NaN, /Number and String/],
  [
    "undefined that is read as null",
    Schema.Struct({ a: Schema.optional(Schema.NullOr(Schema.Int)) }),
    { a: undefined },
    /Undefined and/
  ],
  [
    "an instance of a class",
    Schema.Union([Point, Place]),
    new Place({ x: 1, name: "a" }),
    /Place and Point|Point and Place/
  ],
  [
    "inside of arrays, records and recursion",
    Schema.Record(Schema.String, Tree),
    { t: { kind: "tree", of: [{ kind: "tree", of: [{ kind: "leaf", value: { a: 1, b: 2 } }] }] } },
    /\{ a, b \}/
  ],
  ["inside of a tuple", Schema.Tuple([Schema.Int, Schema.Union([A, AB])]), [1, { a: 1, b: 2 }], /\{ a, b \}/],
  ["inside of an option", Schema.Option(Schema.Union([A, AB])), Option.some({ a: 1, b: 2 }), /\{ a, b \}/],
  [
    "inside of an option that is null, or not there",
    Schema.Struct({
      a: Schema.OptionFromNullOr(Schema.Union([A, AB])),
      b: Schema.OptionFromOptionalKey(Schema.Union([A, AB]))
    }),
    { a: Option.some({ a: 1 }), b: Option.some({ a: 1, b: 2 }) },
    /\{ a, b \}/
  ],
  [
    "a key of a map",
    Schema.ReadonlyMap(Schema.Union([Schema.BigInt, Schema.String]), Schema.Int),
    new Map([["7", 1]]),
    /String and BigInt/
  ],
  [
    "a value of a map",
    Schema.ReadonlyMap(Schema.String, Schema.Union([A, AB])),
    new Map([["k", { a: 1, b: 2 }]]),
    /\{ a, b \}/
  ],
  [
    "inside of a set",
    Schema.ReadonlySet(Schema.Union([Schema.BigInt, Schema.String])),
    new Set(["7"]),
    /String and BigInt/
  ],
  [
    "inside of Effect's collections",
    Schema.Struct({
      map: Schema.HashMap(Schema.String, Schema.Union([A, AB])),
      chunk: Schema.Chunk(Schema.Union([A, AB]))
    }),
    { map: HashMap.make(["k", { a: 1 }]), chunk: Chunk.make({ a: 1, b: 2 }) },
    /\{ a, b \}/
  ],
  ["a function where anything is allowed", Schema.Struct({ any: Schema.Any }), { any: { f: () => {} } }, /JSON/],
  ["a date where anything is allowed", Schema.Struct({ any: Schema.Any }), { any: new Date(0) }, /JSON/],
  ["undefined where anything is allowed", Schema.Struct({ any: Schema.Any }), { any: undefined }, /JSON/]
]

const faithful: ReadonlyArray<readonly [what: string, Json.Codec, values: ReadonlyArray<unknown>]> = [
  ["members that overlap, of which the value is one only", Schema.Union([A, AB]), [{ a: 1 }]],
  ["the larger member first", Schema.Union([AB, A]), [{ a: 1 }, { a: 1, b: 2 }]],
  [
    "literal tags",
    Schema.Union([
      Schema.Struct({ kind: Schema.Literal("a"), a: Schema.Int }),
      Schema.Struct({ kind: Schema.Literal("b"), a: Schema.Int, b: Schema.Int })
    ]),
    [
      { kind: "a", a: 1 },
      { kind: "b", a: 1, b: 2 }
    ]
  ],
  ["errors", Schema.Union([Lost, Late]), [new Lost({ x: 1 }), new Late({ x: 1, by: 2 })]],
  ["null or a date", Schema.NullOr(Schema.Date), [null, new Date(0)]],
  [
    "an optional field that is not there",
    Schema.Struct({ a: Schema.optional(Schema.NullOr(Schema.Int)) }),
    [{}, { a: 1 }, { a: null }]
  ],
  ["literals and texts", Schema.Union([Schema.Literals(["a", "b"]), Schema.String]), ["a", "c"]],
  ["texts and numbers", Schema.Union([Schema.String, Schema.Number]), ["5", 5, "NaN"]],
  ["a number written as a text, or as a number", Schema.Union([Schema.NumberFromString, Schema.Number]), [5]],
  ["an option", Schema.Option(Schema.Int), [Option.none(), Option.some(1)]],
  [
    "what containers hold, where it is not changed",
    Schema.Struct({
      option: Schema.Option(Schema.Union([A, AB])),
      map: Schema.ReadonlyMap(Schema.Union([Schema.BigInt, Schema.String]), Schema.Union([A, AB])),
      set: Schema.ReadonlySet(Schema.Union([Schema.BigInt, Schema.String]))
    }),
    [
      { option: Option.some({ a: 1 }), map: new Map([["k", { a: 1 }]]), set: new Set(["k"]) },
      { option: Option.none(), map: new Map([[7n, { a: 1 }]]), set: new Set([7n]) }
    ]
  ],
  [
    "what JSON has where anything is allowed",
    Schema.Struct({ any: Schema.Any }),
    [{ any: [1, "a", null, { b: true }] }]
  ]
]

describe("a value that JSON would change", () => {
  it.each(changing)("is refused, with what is not told apart: %s", (_, schema, value, named) => {
    const encoded = Json.make(schema).encode(value)
    assert.isFalse(encoded.ok)
    assert.match(encoded.ok ? "" : encoded.why, named)
  })

  it.each(faithful)("is none: %s", (_, schema, values) => {
    const wire = Json.make(schema)
    for (const value of values) {
      const encoded = wire.encode(value)
      const text = encoded.ok ? encoded.text : assert.fail(encoded.why)
      assert.deepStrictEqual(wire.decode(text), { ok: true, value: encoded.ok ? encoded.value : undefined })
    }
  })

  it.each([
    [
      "literal tags",
      Schema.Union([Schema.Struct({ kind: Schema.Literal("a") }), Schema.Struct({ kind: Schema.Literal("b") })])
    ],
    ["errors and classes with a tag", Schema.Union([Lost, Late])],
    ["a field of another kind", Schema.Union([A, Schema.Struct({ a: Schema.String })])],
    ["kinds", Schema.Union([Schema.String, Schema.Int, Schema.Boolean, Schema.Array(Schema.Int), A])],
    ["null or a date", Schema.Struct({ at: Schema.NullOr(Schema.Date), or: Schema.optional(Schema.BigInt) })],
    ["literals", Schema.Literals(["a", "b", 1, true])],
    ["recursion", Schema.Array(Schema.Union([Schema.suspend((): Schema.Codec<Clear, unknown> => Clear), Schema.Int]))]
  ])("takes no look at values where members differ by %s", (_, schema) => {
    assert.isUndefined(Ambiguity.check(schema.ast, (part) => Json.make(Schema.make<Json.Codec>(part))))
  })

  it("is found in time that grows with the size of the value, not with its depth", () => {
    let tree: Tree = { kind: "tree", of: [{ kind: "leaf", value: { a: 1 } }] }
    for (let depth = 0; depth < 60; depth++) tree = { kind: "tree", of: [tree] }
    assert.isTrue(Json.make(Tree).encode(tree).ok)
  })
})
