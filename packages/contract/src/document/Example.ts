import type { Codec } from "../Contract.ts"
import { make as wire } from "../Wire.ts"
import { referred } from "./Component.ts"
import { isRecord, type JsonSchema, own } from "./JsonSchema.ts"

/**
 * A small piece of JSON that `codec` takes, made from its schema: an `examples` annotation where there is one, else what
 * reads well. `undefined` when nothing that was tried is taken, as for most patterns. The same contract gives the same.
 * `name` stands where any text does.
 */
export const make = (
  schema: JsonSchema,
  codec: Codec,
  shared: { readonly [name: string]: JsonSchema },
  name: string
): unknown => {
  const { decode } = wire(codec)
  // The shallowest one: a recursive schema has others.
  for (const depth of [2, 4, 6, 8, 12]) {
    for (const word of [undefined, ...words]) {
      const value = one(schema, { shared, word, name, depth, left: { nodes: 500 } })
      if (value !== undefined && decode(JSON.stringify(value)).ok) return value
    }
  }
  return undefined
}

/** Texts that some schema takes: they are tried one after the other. */
const words = [
  "2026-01-31T12:00:00.000Z",
  "1",
  "https://example.com/",
  "00000000-0000-4000-8000-000000000000",
  "someone@example.com",
  "2026-01-31",
  "a",
  "A",
  "a-1",
  "A-1",
  "P1D"
]

interface Place {
  readonly shared: { readonly [name: string]: JsonSchema }
  /** What stands for any text; none: the name of the property. */
  readonly word: string | undefined
  readonly name: string
  /** How much deeper it may get. */
  readonly depth: number
  /** How much larger. */
  readonly left: { nodes: number }
}

const one = (schema: JsonSchema, place: Place): unknown => {
  if (place.depth === 0 || place.left.nodes-- <= 0) return undefined
  const inside = { ...place, depth: place.depth - 1 }
  const { $ref, anyOf, enum: values, examples, ...rest } = schema
  if (Array.isArray(examples) && examples.length > 0) return examples[0]
  if (Array.isArray(values)) return values[0]
  if ($ref !== undefined) {
    const target = own(place.shared, referred($ref) ?? "")
    return target && one({ ...target, ...rest }, inside)
  }
  for (const part of Array.isArray(anyOf) ? (anyOf as ReadonlyArray<JsonSchema>) : []) {
    const value = one(part, inside)
    if (value !== undefined) return value
  }
  if (anyOf !== undefined) return undefined
  switch (schema["type"]) {
    case "string":
      return text(schema, inside)
    case "integer":
    case "number":
      return number(schema)
    case "boolean":
      return true
    case "null":
      return null
    case "array":
      return array(schema, inside)
    case "object":
      return object(schema, inside)
    default:
      return {}
  }
}

const text = (schema: JsonSchema, place: Place): string | undefined => {
  const { name, word } = place
  const { contentMediaType, contentSchema, maxLength, minLength, pattern } = schema
  if (contentMediaType === "application/json" && isRecord(contentSchema)) {
    const inner = one(contentSchema, place)
    return inner === undefined ? undefined : JSON.stringify(inner)
  }
  const format = own(formats, String(schema["format"]))
  if (format !== undefined) return format
  if (typeof pattern === "string") {
    const expression = expressionOf(pattern)
    return [word ?? name, name, ...words].find((word) => expression?.test(word))
  }
  if (Number(minLength ?? 0) > longest) return undefined
  const plain = (word ?? name).padEnd(Number(minLength ?? 0), "-")
  return plain.slice(0, Number(maxLength ?? plain.length))
}

/** In characters: nobody reads a longer one. */
const longest = 500

const expressionOf = (pattern: string): RegExp | undefined => {
  try {
    return new RegExp(pattern, "u")
  } catch {
    return undefined
  }
}

const formats: { readonly [format: string]: string } = {
  byte: "AQID",
  uuid: "00000000-0000-4000-8000-000000000000"
}

const number = ({ exclusiveMaximum, exclusiveMinimum, maximum, minimum, multipleOf }: JsonSchema): number => {
  const step = Number(multipleOf ?? 1)
  const least = Math.max(
    Number(minimum ?? -Infinity),
    exclusiveMinimum === undefined ? -Infinity : Number(exclusiveMinimum) + step
  )
  const most = Math.min(
    Number(maximum ?? Infinity),
    exclusiveMaximum === undefined ? Infinity : Number(exclusiveMaximum) - step
  )
  return step * Math[least > 1 ? "ceil" : "floor"](Math.min(Math.max(1, least), most) / step)
}

const mostItems = 100

const array = ({ items, minItems, prefixItems }: JsonSchema, place: Place): ReadonlyArray<unknown> | undefined => {
  const first = (prefixItems ?? []) as ReadonlyArray<JsonSchema>
  const values = first.slice(0, Math.max(Number(minItems ?? 0), 0)).map((item) => one(item, place))
  if (Number(minItems ?? 0) > mostItems) return undefined
  while (values.length < Number(minItems ?? 0)) {
    values.push(isRecord(items) ? one(items, place) : undefined)
  }
  return values.includes(undefined) ? undefined : values
}

const object = ({ properties, required }: JsonSchema, place: Place): unknown => {
  const value: Record<string, unknown> = {}
  for (const name of (required ?? []) as ReadonlyArray<string>) {
    const property = isRecord(properties) ? own(properties, name) : undefined
    const found = isRecord(property) ? one(property, { ...place, name }) : undefined
    if (found === undefined) return undefined
    Object.defineProperty(value, name, { value: found, enumerable: true })
  }
  return value
}
