import { assert, describe, it } from "@effect/vitest"
import { Contract, Json } from "@troupe/contract"
import { Compatibility, Document } from "@troupe/contract/document"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

type Fields = Contract.Fields
const S = Schema
class Full extends S.TaggedError<Full>()("Full", {}) {}
class Shut extends S.TaggedError<Shut>()("Shut", { until: S.String }) {}

const document = (actor: Partial<Parameters<typeof Contract.actor>[0]>, version = 1, service = "carts") =>
  Document.make(Contract.make(service, { Cart: Contract.actor({ key: S.String, ...actor }) }, { version }))
const takes = (payload: Fields) => document({ commands: { add: Contract.command({ payload }) } })
const answers = (reply: Contract.Codec) => document({ commands: { add: Contract.command({ reply }) } })
const refuses = (...errors: ReadonlyArray<Contract.Codec<Contract.TaggedError>>) =>
  document({ commands: { add: Contract.command({ errors }) } })
const says = (added: Contract.AnyEventType) => document({ events: { added } })
const told = (old: Document.Document, now: Document.Document) =>
  Compatibility.diff(old, now).map(({ breaks, path }) => `${breaks} ${path}`)

describe("what changed in a contract", () => {
  it("is nothing between a contract and itself, in whatever order it is written, and read again", () => {
    const one = document({ commands: { a: Contract.command({}), b: Contract.command({ errors: [Full, Shut] }) } })
    const two = document({ commands: { b: Contract.command({ errors: [Full, Shut] }), a: Contract.command({}) } })
    assert.strictEqual(Document.text(one), Document.text(two))
    assert.deepStrictEqual(Document.parse(Document.text(one)), one)
    assert.deepStrictEqual(told(one, two), [])
    for (const text of ["", "{", "[]", "{}", '{"document":2}', '{"document":1}'])
      assert.property(Document.parse(text), "why")
  })

  it("is for senders where they send", () => {
    const old = takes({ sku: S.String })
    assert.deepStrictEqual(told(old, takes({ sku: S.String, note: S.optionalKey(S.String) })), [
      "nobody carts.Cart.add.payload.note"
    ])
    assert.deepStrictEqual(told(old, takes({ sku: S.String, note: S.String })), ["senders carts.Cart.add.payload.note"])
    assert.deepStrictEqual(told(old, takes({})), ["nobody carts.Cart.add.payload.sku"])
    assert.deepStrictEqual(told(old, takes({ sku: S.NullOr(S.String) })), ["nobody carts.Cart.add.payload.sku"])
    assert.deepStrictEqual(told(takes({ sku: S.NullOr(S.String) }), old), ["senders carts.Cart.add.payload.sku"])
    // Not in JSON Schema: a pattern without the flag u, and a type that is text on the wire.
    for (const sku of [S.String.check(S.isPattern(/^a/)), S.Date, S.String.check(S.isMinLength(3))]) {
      assert.deepStrictEqual(told(old, takes({ sku })), ["senders carts.Cart.add.payload.sku"])
    }
    // A property may be called as a keyword is.
    assert.deepStrictEqual(told(takes({ title: S.String }), takes({ title: S.Int })), [
      "senders carts.Cart.add.payload.title"
    ])
  })

  it("is told one by one, at any depth, when it breaks nobody", () => {
    interface Tree {
      readonly left?: Tree
    }
    const tree = (fields: Fields): Contract.Codec => {
      const left = S.optionalKey(S.suspend((): Schema.Codec<Tree> => self as never))
      const self: Contract.Codec = S.Struct({ ...fields, left }).annotate({ identifier: "Tree" }) as never
      return self
    }
    const optional = S.optionalKey(S.String)
    const old = takes({ lines: S.Array(S.Struct({ sku: S.String })), at: S.Struct({ x: S.Int }), note: optional })
    const now = takes({
      lines: S.Array(S.Struct({ sku: S.String, gift: optional })),
      at: S.Struct({ x: S.Int, y: S.optionalKey(S.Int) }),
      name: optional
    })
    const at = (...paths: ReadonlyArray<string>) => paths.map((path) => `nobody carts.Cart.add.payload.${path}`)
    assert.sameMembers(told(old, now), at("lines[].gift", "at.y", "name", "note"))
    assert.deepStrictEqual(told(takes({ tree: tree({}) }), takes({ tree: tree({ leaf: optional }) })), at("tree.leaf"))
  })

  it("ends where a schema refers to itself through a union, or by definitions that lie elsewhere", () => {
    interface List {
      readonly next: List | null
    }
    const list = (fields: Fields, identifier = "List"): Contract.Codec => {
      const next = S.NullOr(S.suspend((): Schema.Codec<List> => self as never))
      const self: Contract.Codec = S.Struct({ ...fields, next }).annotate({ identifier }) as never
      return self
    }
    const old = takes({ list: list({ name: S.String }) })
    assert.deepStrictEqual(told(old, takes({ list: list({ name: S.String }, "Other") })), [])
    assert.deepStrictEqual(told(old, takes({ list: list({ name: S.String, note: S.optionalKey(S.String) }) })), [
      "nobody carts.Cart.add.payload.list.note"
    ])
    assert.deepStrictEqual(told(old, takes({ list: list({ name: S.Int }) })), [
      "senders carts.Cart.add.payload.list.name"
    ])
    // The same values, two steps in a circle, each time with the other one as the definition.
    const circle = (named: "even" | "odd"): Contract.Codec => {
      const name = (at: string) => (schema: { annotate(of: { readonly identifier: string }): unknown }) =>
        (named === at ? schema.annotate({ identifier: "Named" }) : schema) as Contract.Codec
      const even: Contract.Codec = name("even")(S.Struct({ odd: S.NullOr(S.suspend(() => odd as never)) }) as never)
      const odd: Contract.Codec = name("odd")(S.Struct({ even: S.NullOr(S.suspend(() => even as never)) }) as never)
      return even
    }
    assert.deepStrictEqual(told(answers(circle("even")), answers(circle("odd"))), [])
  })

  it("is seen where Effect's JSON Schema is silent: flags, patterns with words of their own, records with checked names", () => {
    const pattern = (is: RegExp, expected?: string) =>
      takes({ sku: S.String.check(S.isPattern(is, expected === undefined ? {} : { expected })) })
    for (const [old, now] of [
      [pattern(/^a$/i), pattern(/^a$/)],
      [pattern(/^a$/i), pattern(/^a$/im)],
      [pattern(/^a$/, "a code"), pattern(/^b$/, "a code")]
    ] as const)
      assert.deepStrictEqual(told(old, now), ["senders carts.Cart.add.payload.sku"])
    assert.deepStrictEqual(told(pattern(/^a$/i), pattern(/^a$/i)), [])
    const counts = (count: Contract.Codec, least = 1) =>
      takes({ counts: S.Record(S.String.check(S.isMinLength(least)), count) })
    assert.deepStrictEqual(told(counts(S.String), counts(S.Int)), ["senders carts.Cart.add.payload.counts.*"])
    // Nobody is refused for a name: it is passed over.
    assert.deepStrictEqual(told(counts(S.String), counts(S.String, 2)), [])
  })

  it("is for senders where they get answers", () => {
    const few = answers(S.Literals(["a", "b"]))
    const more = answers(S.Literals(["a", "b", "c"]))
    assert.deepStrictEqual(told(few, more), ["senders carts.Cart.add.reply"])
    assert.deepStrictEqual(told(more, few), ["nobody carts.Cart.add.reply"])
    assert.deepStrictEqual(told(answers(S.Void), few), ["senders carts.Cart.add.reply"])
    assert.deepStrictEqual(told(few, answers(S.Void)), ["senders carts.Cart.add.reply"])
    assert.deepStrictEqual(told(refuses(Full), refuses(Full, Shut)), ["senders carts.Cart.add.errors.Shut"])
    assert.deepStrictEqual(told(refuses(Full, Shut), refuses(Full)), ["nobody carts.Cart.add.errors.Shut"])
  })

  it("is for receivers where an event changes, and a version that was published is frozen", () => {
    const v1 = Contract.event({ n: S.Int })
    assert.deepStrictEqual(told(says(v1), says(v1.next({ m: S.Int }, ({ n }) => ({ m: n })))), [
      "receivers carts.Cart.added.v2"
    ])
    for (const other of [{ n: S.Int, m: S.optionalKey(S.Int) }, { n: S.Finite }, {}, { m: S.Int }]) {
      assert.deepStrictEqual(told(says(v1), says(Contract.event(other))), ["receivers carts.Cart.added.v1"])
    }
    assert.deepStrictEqual(told(says(v1), document({})), ["receivers carts.Cart.added"])
    assert.deepStrictEqual(told(document({}), says(v1)), ["nobody carts.Cart.added"])
    assert.deepStrictEqual(told(says(v1), says(Contract.event({ n: S.Int.annotate({ description: "n" }) }))), [])
  })

  it("is for senders when an older host cannot tell that a command is new", () => {
    const commands = { constructor: Contract.command({}) }
    assert.deepStrictEqual(told(document({}), document({ commands })), ["senders carts.Cart.constructor"])
    assert.deepStrictEqual(told(document({}), document({ commands }, 2)), [
      "nobody carts.version",
      "nobody carts.Cart.constructor"
    ])
    assert.deepStrictEqual(told(document({}, 2), document({})), ["senders carts.version"])
    assert.deepStrictEqual(told(document({ commands }), document({})), ["senders carts.Cart.constructor"])
  })

  it("is the names, the keys and what a key does after a dead letter", () => {
    assert.deepStrictEqual(told(document({}), document({}, 1, "shop")), ["senders carts", "receivers carts"])
    assert.deepStrictEqual(told(document({}), document({ key: S.NonEmptyString })), ["senders carts.Cart.key"])
    assert.deepStrictEqual(told(document({}), document({ whenDead: "block" })), ["nobody carts.Cart.whenDead"])
    assert.deepStrictEqual(told(Document.make(Contract.make("carts", {})), document({})), ["nobody carts.Cart"])
    assert.deepStrictEqual(
      told(document({ commands: { a: Contract.command({}) } }), Document.make(Contract.make("carts", {}))),
      ["senders carts.Cart.a"]
    )
  })
})

interface Tree {
  readonly v: number
  readonly kids: ReadonlyArray<Tree>
}
const Tree = S.Struct({ v: S.Int, kids: S.Array(S.suspend((): Schema.Codec<Tree> => Tree)) }).annotate({
  identifier: "Tree"
})

/** Schemas near each other: each pair is a change that somebody could make. */
const near: ReadonlyArray<Contract.Codec> = [
  S.String,
  S.NonEmptyString,
  S.String.check(S.isMinLength(3)),
  S.String.check(S.isMinLength(4)),
  S.String.check(S.isMaxLength(5)),
  S.String.check(S.isPattern(/^a/)),
  S.String.check(S.isPattern(/^a/u)),
  S.Literals(["a", "b"]),
  S.Literal("a"),
  S.NullOr(S.String),
  S.Number,
  S.Finite,
  S.Int,
  S.Int.check(S.isGreaterThan(0)),
  S.Int.check(S.isGreaterThanOrEqualTo(0)),
  S.Literals([1, 2]),
  S.Int.check(S.isMultipleOf(2)),
  S.Int.check(S.isMultipleOf(4)),
  S.Boolean,
  S.Literal(true),
  S.Null,
  S.BigInt,
  S.Date,
  S.URL,
  S.Uint8Array,
  S.FiniteFromString,
  S.Unknown,
  S.Struct({}),
  S.Struct({ a: S.String }),
  S.Struct({ a: S.optionalKey(S.String) }),
  S.Struct({ a: S.optional(S.String) }),
  S.Struct({ a: S.Int }),
  S.Struct({ a: S.String, b: S.Int }),
  S.Struct({ a: S.String, b: S.optionalKey(S.Int) }),
  S.Record(S.String, S.String),
  S.Record(S.String, S.Unknown),
  S.Array(S.String),
  S.NonEmptyArray(S.String),
  S.Array(S.Int),
  S.Tuple([S.String]),
  S.Tuple([S.String, S.optionalKey(S.Int)]),
  S.TupleWithRest(S.Tuple([S.String]), [S.Int]),
  S.Array(S.String).check(S.isMaxLength(2)),
  S.Union([S.String, S.Int]),
  S.Union([Full, Shut]),
  S.Union([Full]),
  Tree
] as never

it.effect(
  "what is compatible is read: what the one writes, the other decodes",
  () =>
    Effect.gen(function* () {
      const at = (schema: Contract.Codec) => answers(S.Struct({ x: schema }) as never)
      let pairs = 0
      for (const [i, writer] of near.entries()) {
        const document = at(writer)
        const values = yield* Arbitrary.sampleEffect(Arbitrary.schema(writer as never), {
          count: 40,
          seed: `${i}`
        } as never)
        const texts = values
          .map((value) => Json.make(S.Struct({ x: writer })).encode({ x: value }))
          .flatMap((text) => (text.ok ? [text.text] : []))
        assert.isAbove(texts.length, 0, `nothing was written by ${i}`)
        for (const [j, reader] of near.entries()) {
          const changes = Compatibility.diff(at(reader), document)
          if (i === j) assert.deepStrictEqual(changes, [])
          if (!Compatibility.isCompatible(changes)) continue
          if (i !== j) pairs++
          const read = Json.make(S.Struct({ x: reader }))
          for (const text of texts) assert.isTrue(read.decode(text).ok, `${i} -> ${j}: ${text}`)
        }
      }
      assert.isAbove(pairs, 60, "of different schemas")
    }),
  60_000
)
