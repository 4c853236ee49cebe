import { Json, JsonBounds } from "@troupe/contract"
import * as Schema from "effect/Schema"
import type { Declared } from "../Actor.ts"
import * as Signature from "./Signature.ts"

/** What both ends say, in JSON. All that a contract or a state declares travels as the text that is stored and sent. */

/** One message to handle. */
export interface Turn extends Schema.Schema.Type<typeof Turn> {}
const Turn = Schema.Struct({
  id: Schema.String,
  /** When it was said, ms since 1970. */
  now: Schema.Finite,
  command: Schema.String,
  payload: Schema.String
})

/** Messages of one key, in order; each finds the state that the one before it left. */
export interface Line extends Schema.Schema.Type<typeof Line> {}
const Line = Schema.Struct({
  key: Schema.String,
  /** Before the first of them, in the newest shape. */
  state: Schema.String,
  turns: Schema.NonEmptyArray(Turn)
})

/** What a host asks for: at most one line of a key. */
export interface Call extends Schema.Schema.Type<typeof Call> {}
const Call = Schema.Struct({
  actor: Schema.String,
  /** `dialect` of the host. */
  dialect: Schema.String,
  lines: Schema.Array(Line)
})
export const call = Json.make(Call)

const Sent = { to: Schema.String, key: Schema.String, payload: Schema.String }
/** What a handler staged. */
export type Item = typeof Item.Type
const Item = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("event"), name: Schema.String, payload: Schema.String }),
  Schema.Struct({ kind: Schema.Literal("command"), ...Sent }),
  Schema.Struct({
    kind: Schema.Literal("timer"),
    name: Schema.optionalKey(Schema.String),
    delay: Schema.Finite,
    ...Sent
  }),
  Schema.Struct({ kind: Schema.Literal("cancel"), name: Schema.String })
])

/** What became of a turn. */
export type Outcome = typeof Outcome.Type
const Outcome = Schema.Union([
  Schema.Struct({
    kind: Schema.Literal("done"),
    reply: Schema.String,
    /** None: it was not set. */
    state: Schema.optionalKey(Schema.String),
    staged: Schema.Array(Item)
  }),
  /** By a typed error of the command. */
  Schema.Struct({ kind: Schema.Literal("refused"), error: Schema.String }),
  /** It would fail again: what it wants is not what is declared. */
  Schema.Struct({
    kind: Schema.Literal("failed"),
    code: Schema.Literals(["TRP0301", "TRP0303"]),
    reason: Schema.String
  }),
  /** It may do when it is tried again. */
  Schema.Struct({ kind: Schema.Literal("died"), slow: Schema.Boolean, reason: Schema.String })
])

/**
 * For each line of a call, in its order, what became of its turns. A line ends with the first turn that does not come to
 * its end, and where it takes long; one that would begin late has none, but for the first. The host asks again for what is left.
 */
export interface Answer extends Schema.Schema.Type<typeof Answer> {}
const Answer = Schema.Struct({ lines: Schema.Array(Schema.Array(Outcome)) })

/** Said instead, when the answer would have more bytes than `limit`, or `isTooMuch`. */
export interface TooLarge extends Schema.Schema.Type<typeof TooLarge> {}
const TooLarge = Schema.Struct({ tooLarge: Schema.Literal(true) })
export const answer = Json.make(Schema.Union([Answer, TooLarge]))

/** Bytes that either end reads at most. */
export const limit = 32 * 1024 ** 2

/** What either end parses at most; an answer has no more values than these with those of its texts. */
export const bounds: JsonBounds.Bounds = { values: 500_000, depth: 10 }

/** Maximum depth of a text in an answer. */
const deepest = 1_000

/** True if an answer, `json` as text, has more to decode than a host does without holding up others. */
export const isTooMuch = (json: string, lines: Answer["lines"]): boolean => {
  let left = bounds.values - JsonBounds.measure(json, bounds).values
  for (const outcome of lines.flat()) {
    for (const text of textsOf(outcome)) {
      if (left < 0) return true
      const { depth, values } = JsonBounds.measure(text, { values: left, depth: deepest })
      if (depth > deepest) return true
      left -= values
    }
  }
  return left < 0
}

const textsOf = (outcome: Outcome): ReadonlyArray<string> => {
  if (outcome.kind === "refused") return [outcome.error]
  if (outcome.kind !== "done") return []
  const payloads = outcome.staged.flatMap((item) => ("payload" in item ? [item.payload] : []))
  return [outcome.reply, outcome.state ?? "", ...payloads]
}

/**
 * What an end declares of an actor. Where the two differ nothing is handled: a state would be written in a shape that the
 * other cannot read, or a command be refused that somebody knows.
 */
export const dialect = ({ ref, state }: Declared): string => {
  const commands = Object.entries(ref.commands)
  const events = Object.entries(ref.definition.events).map(([name, { version }]) => `${name} ${version}`)
  return [
    `protocol ${Signature.protocol}`,
    `contract ${commands[0]?.[1].target.contract ?? 1}`,
    `state ${state.version}`,
    `commands ${commands.map(([name]) => name).sort()}`,
    `events ${events.sort()}`
  ].join("; ")
}
