import { assert, describe, it } from "@effect/vitest"
import { Contract } from "@troupe/contract"
import { Patterns } from "@troupe/contract/patterns"
import * as Schema from "effect/Schema"

const of = (schema: Contract.Codec) => Patterns.unproven([{ at: "here", schema }])?.pattern
const matching = (pattern: RegExp) => Schema.String.check(Schema.isPattern(pattern))

describe("a pattern", () => {
  it("that takes linear time is taken", () => {
    for (const pattern of [
      /^[a-z][a-z0-9-]{0,62}$/,
      /^o-\d+$/,
      /^[^@\s]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+$/i,
      /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/,
      /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$/,
      /^(?=.*[A-Z])(?=.*\d).{8,}$/,
      /^\p{L}[\p{L}\p{N} ]*$/u,
      /^(red|green|blue)(,(red|green|blue))*$/,
      /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
    ])
      assert.isUndefined(of(matching(pattern)), String(pattern))
    const own = Schema.String.check(
      Schema.isUUID(),
      Schema.isULID(),
      Schema.isTrimmed(),
      Schema.isStartingWith("a.b"),
      Schema.isBase64()
    )
    assert.isUndefined(of(own))
  })

  it("for which a text could take more than linear time is found", { timeout: 60_000 }, () => {
    for (const pattern of [
      /^(a+)+$/,
      /^(a|a)*$/,
      /^(\w+\s?)*$/,
      /^\s+|\s+$/,
      /\d+$/,
      /^.*a.*b.*$/,
      /^(?:a?){30}a{30}$/,
      /^(a{1,50}){1,50}$/,
      /^(.+)\1$/,
      // Syntax that the proof does not know.
      /^[\p{L}--[a-z]]+$/v
    ])
      assert.strictEqual(of(matching(pattern)), String(pattern))
  })

  it("is found wherever a schema may have it", () => {
    const slow = matching(/^(a+)+$/)
    interface Tree {
      readonly name: string
      readonly trees: ReadonlyArray<Tree>
    }
    const Tree: Schema.Codec<Tree> = Schema.Struct({
      name: slow,
      trees: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
    })
    class Box extends Schema.Class<Box>("Box")({ name: slow }) {}
    for (const schema of [
      Schema.Struct({ a: Schema.optionalKey(slow) }),
      Schema.Array(slow),
      Schema.Tuple([Schema.Int, slow]),
      Schema.Union([Schema.Int, slow]),
      Schema.Record(slow, Schema.Int),
      Schema.Record(Schema.String, slow),
      Schema.NullOr(slow),
      Schema.Option(slow),
      Schema.TemplateLiteral(["a-", slow]),
      slow.pipe(Schema.brand("Slow")),
      slow.pipe(Schema.decodeTo(Schema.Int)),
      Schema.String.check(Schema.makeFilterGroup([Schema.isPattern(/^(a+)+$/), Schema.isMinLength(1)])),
      Box,
      Tree
    ])
      assert.strictEqual(of(schema as unknown as Contract.Codec), "/^(a+)+$/")
  })
})

it("a contract is looked through whole: keys, payloads, replies, errors, and all versions of events", () => {
  const slow = matching(/^(a+)+$/)
  class Wrong extends Schema.TaggedError<Wrong>()("Wrong", { name: slow }) {}
  const part = (actor: Parameters<typeof Contract.actor>[0]) => {
    class Part extends Contract.actor(actor) {}
    return Contract.make("shop", { Part })
  }
  const key = Schema.String
  const contracts = {
    "shop.Part: key": part({ key: slow }),
    "shop.Part.a: payload": part({ key, commands: { a: Contract.command({ payload: { slow } }) } }),
    "shop.Part.a: reply": part({ key, commands: { a: Contract.command({ reply: slow }) } }),
    "shop.Part.a: error": part({ key, commands: { a: Contract.command({ errors: [Wrong] }) } }),
    "shop.Part.e: version 1": part({ key, events: { e: Contract.event({ slow }).next({}, () => ({})) } }),
    "shop.Part.e: version 2": part({ key, events: { e: Contract.event({}).next({ slow }, () => ({ slow: "" })) } })
  }
  for (const [at, contract] of Object.entries(contracts))
    assert.deepStrictEqual(Patterns.unproven(Patterns.places(contract)), { at, pattern: "/^(a+)+$/" })
})
