import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import { isSafe } from "redos-detector"
import { type AnyContract, type AnyEventRef, actors, type Codec } from "../Contract.ts"

/** A schema that a message or a state is read by. */
export interface Place {
  /** For people: `orders.Order.place: payload`. */
  readonly at: string
  readonly schema: Codec
}

/** A pattern that is not known to take linear time. */
export interface Unproven {
  readonly at: string
  /** `/^(\w+\s?)*$/` */
  readonly pattern: string
}

/** Where a contract has schemas: keys, payloads in all versions, replies and errors. */
export const places = (contract: AnyContract): ReadonlyArray<Place> =>
  actors(contract).flatMap(({ definition: { commands, key }, events, name }) => [
    { at: `${name}: key`, schema: key },
    ...Object.entries(commands).flatMap(([command, { errors, payload, reply }]) => [
      { at: `${name}.${command}: payload`, schema: struct(payload) },
      { at: `${name}.${command}: reply`, schema: reply },
      ...errors.map((schema) => ({ at: `${name}.${command}: error`, schema }))
    ]),
    ...Object.values(events).flatMap(placesOfEvent)
  ])

/** The versions of an event. */
export const placesOfEvent = ({ definition: { payload, upcasts }, type }: AnyEventRef): ReadonlyArray<Place> =>
  [...upcasts.map(({ from }) => from), payload].map((fields, i) => ({
    at: `${type}: version ${i + 1}`,
    schema: struct(fields)
  }))

const struct = (fields: { readonly [name: string]: Codec }): Codec => Schema.Struct(fields) as unknown as Codec

/**
 * The first pattern for which some text could take more than linear time. A backtracking engine stands still on such a text,
 * and everything of the process with it. What cannot be proven within a fixed number of steps (a few tenths of a second) counts
 * as such, so that the answer is the same on each machine. Patterns inside of filters of one's own are not seen.
 */
export const unproven = (places: ReadonlyArray<Place>): Unproven | undefined => {
  for (const { at, schema } of places) {
    for (const pattern of patterns(schema)) if (!isLinear(pattern)) return { at, pattern: String(pattern) }
  }
  return undefined
}

/** Proofs are kept: several hosts of one process, and the states of many tests, have the same patterns. */
const known = new Map<string, boolean>()
const isLinear = (pattern: RegExp): boolean => {
  const found = known.get(String(pattern)) ?? proven(pattern)
  known.set(String(pattern), found)
  return found
}

/** Steps of the proof. Of 58 patterns that were tried, 20,000 steps prove no more than 250 do. */
const maxSteps = 1_000

const proven = (pattern: RegExp): boolean => {
  try {
    return isSafe(pattern, { maxSteps, timeout: Number.POSITIVE_INFINITY }).safe
  } catch {
    // It does not know all of the syntax: the flag `v`, for one.
    return false
  }
}

/** The patterns by which a value is checked, both as it is written and as it is read. */
const patterns = (schema: Codec): ReadonlyArray<RegExp> => {
  const found: Array<RegExp> = []
  const seen = new Set<object>()
  const walk = (ast: AST.AST): void => {
    if (seen.has(ast)) return
    seen.add(ast)
    for (const check of ast.checks ?? []) found.push(...patternsOf(check))
    for (const { to } of ast.encoding ?? []) walk(to)
    inner(ast).forEach(walk)
  }
  walk(schema.ast)
  walk(Schema.toCodecJson(schema).ast)
  return found
}

const patternsOf = (check: AST.Check<unknown>): ReadonlyArray<RegExp> => {
  if (check._tag === "FilterGroup") return check.checks.flatMap(patternsOf)
  const { id, payload } = (check.annotations?.representation ?? {}) as {
    readonly id?: string
    readonly payload?: { readonly source: string; readonly flags: string }
  }
  return id === "effect/schema/isPattern" && payload !== undefined ? [new RegExp(payload.source, payload.flags)] : []
}

const inner = (ast: AST.AST): ReadonlyArray<AST.AST> => {
  switch (ast._tag) {
    case "Suspend":
      return [ast.thunk()]
    case "Union":
      return ast.types
    case "Declaration":
      return ast.typeParameters
    case "Arrays":
      return [...ast.elements, ...ast.rest]
    case "Objects":
      return [
        ...ast.propertySignatures.map(({ type }) => type),
        ...ast.indexSignatures.flatMap(({ parameter, type }) => [parameter, type])
      ]
    case "TemplateLiteral":
      return ast.parts
    default:
      return []
  }
}
