import { Contract } from "@troupe/contract"
import * as Schema from "effect/Schema"

/** Contracts that are hard to describe. */

interface Tree {
  readonly name: string
  readonly kids: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  name: Schema.String,
  kids: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
}).annotate({ identifier: "Tree" })

type Sum = { readonly left: Sum; readonly right: Sum } | { readonly value: number }
const Sum: Schema.Codec<Sum> = Schema.Union([
  Schema.Struct({
    left: Schema.suspend((): Schema.Codec<Sum> => Sum),
    right: Schema.suspend((): Schema.Codec<Sum> => Sum)
  }),
  Schema.Struct({ value: Schema.Int })
]).annotate({ identifier: "Sum/of~two %" })

/** A name that is markup, and no name of a component. */
class Money extends Schema.Class<Money>("Money</script><b>")(
  {
    cents: Schema.Int.annotate({ description: `</script><script>alert("cents")</script> & 'more'` })
  },
  { description: "Of any <currency>" }
) {}
class Late extends Schema.TaggedError<Late>()("Late", { since: Schema.Date }, { description: "Too late" }) {}
class Odd extends Schema.TaggedError<Odd>()("So odd: <i>", { tree: Tree }) {}

const key = Schema.String.check(Schema.isPattern(/^[a-z]-[0-9]+$/u)).pipe(Schema.brand("HardKey"))
const fields = {
  tree: Tree,
  sum: Sum,
  money: Schema.optionalKey(Money),
  when: Schema.Date.annotate({ description: "When it began" }),
  prices: Schema.NonEmptyArray(Money),
  utc: Schema.DateTimeUtc,
  big: Schema.BigInt,
  bytes: Schema.Uint8Array,
  duration: Schema.Duration,
  option: Schema.Option(Schema.String),
  set: Schema.HashSet(Schema.String),
  map: Schema.ReadonlyMap(Schema.String, Schema.Int),
  tuple: Schema.Tuple([Schema.String, Schema.Int]),
  rest: Schema.TupleWithRest(Schema.Tuple([Schema.String]), [Schema.Boolean]),
  record: Schema.Record(Schema.String, Schema.Int),
  one: Schema.Union([Schema.String, Schema.Number, Schema.Struct({ a: Schema.Literal("x") })]),
  maybe: Schema.optional(Schema.String),
  nothing: Schema.NullOr(Schema.String),
  text: Schema.String.check(Schema.isMinLength(9)),
  number: Schema.Number,
  even: Schema.Int.check(Schema.isMultipleOf(2)),
  json: Schema.fromJsonString(Schema.Struct({ a: Schema.Int })),
  any: Schema.Unknown,
  "a name/with ~ and 'quotes'": Schema.Literals(["it's", "$(id)"])
}

class Hard extends Contract.actor({
  key,
  commands: {
    all: Contract.command({ payload: fields, reply: Schema.NullOr(Sum), errors: [Late, Schema.Union([Late, Odd])] }),
    none: Contract.command({}),
    /** As the event is called. */
    done: Contract.command({ reply: Schema.Date })
  },
  events: {
    done: Contract.event({ money: Money }).next({ tree: Tree, late: Schema.optionalKey(Schema.Date) }, () => ({
      tree: { name: "", kids: [] }
    })),
    bare: Contract.event()
  }
}) {}
/** Its keys are any text, and its patterns are not guessed. */
class Guess extends Contract.actor({
  key: Schema.String,
  commands: { at: Contract.command({ payload: { code: Schema.String.check(Schema.isPattern(/^Q{7}$/u)) } }) }
}) {}

export const hard = Contract.make("hard", { Hard, Guess }, { version: 7 })
/** Nothing at all. */
export const empty = Contract.make("empty", {})
/** Definitions of the same name in another service. */
class Money2 extends Schema.Class<Money2>("Tree")({ dollars: Schema.Int }) {}
class Other extends Contract.actor({ key: Schema.String, events: { seen: Contract.event({ tree: Money2 }) } }) {}
export const other = Contract.make("other", { Other })
