/** A node of JSON Schema 2020-12, as Effect writes it. */
export interface JsonSchema {
  readonly [keyword: string]: unknown
}

/** Where the values of a keyword are schemas. */
const single = new Set(["items", "additionalProperties", "contentSchema", "not", "propertyNames"])
const listed = new Set(["prefixItems", "anyOf", "oneOf", "allOf"])
const named = new Set(["properties", "patternProperties"])

/** Whether the value of a keyword is schemas by the names of something else. */
export const isNamed = (keyword: string): boolean => named.has(keyword)

/** Applies `f` to the schemas right below a node. */
export const below = (node: JsonSchema, f: (child: JsonSchema) => JsonSchema): JsonSchema =>
  Object.fromEntries(
    Object.entries(node).map(([keyword, value]) => {
      if (single.has(keyword) && typeof value === "object") return [keyword, f(value as JsonSchema)]
      if (listed.has(keyword)) return [keyword, (value as ReadonlyArray<JsonSchema>).map(f)]
      if (!named.has(keyword)) return [keyword, value]
      return [
        keyword,
        Object.fromEntries(Object.entries(value as JsonSchema).map(([name, child]) => [name, f(child as JsonSchema)]))
      ]
    })
  )

/**
 * One node for one value: the parts of `allOf` are merged where they say different things, and `expected` becomes
 * `x-expected` where no keyword says the same. (Effect halves a `minLength`, as JSON Schema counts code points.)
 */
export const tidy = (node: JsonSchema): JsonSchema => {
  const { allOf, expected, ...keywords } = below(node, tidy)
  // An empty struct. Only an object is ever written, so that is what is said.
  if (equal(keywords["not"], { type: "null" })) {
    return { type: "object", properties: {}, additionalProperties: true }
  }
  const all: Record<string, unknown> = { ...keywords }
  const told = new Set(says(keywords, expected) ? [expected as string] : [])
  const rest: Array<JsonSchema> = []
  for (const part of (allOf ?? []) as ReadonlyArray<JsonSchema>) {
    const { "x-expected": said = [], ...keywords } = part
    for (const text of said as ReadonlyArray<string>) told.add(text)
    for (const [keyword, value] of Object.entries(keywords)) {
      const tighter = bounds[keyword]
      if (!(keyword in all) || equal(all[keyword], value)) all[keyword] = value
      else if (tighter !== undefined) all[keyword] = tighter(Number(all[keyword]), Number(value))
      else rest.push({ [keyword]: value })
    }
  }
  if (all["type"] === "number" || all["type"] === "integer") told.delete("a finite number")
  return {
    ...all,
    ...(rest.length === 0 ? {} : { allOf: rest }),
    ...(told.size === 0 ? {} : { "x-expected": [...told].sort() })
  }
}

/** Of two bounds the tighter one is what both say. */
const bounds: { readonly [keyword: string]: (a: number, b: number) => number } = {
  minimum: Math.max,
  exclusiveMinimum: Math.max,
  minLength: Math.max,
  minItems: Math.max,
  maximum: Math.min,
  exclusiveMaximum: Math.min,
  maxLength: Math.min,
  maxItems: Math.min
}

/** Whether a text says more than the keywords beside it. */
const says = (node: JsonSchema, expected: unknown): boolean => {
  if (typeof expected !== "string" || expected === "JSON value") return false
  return Object.keys(node).every((keyword) => keyword === "minLength" || keyword === "maxLength" || told.has(keyword))
}
const told = new Set([
  "type",
  "format",
  "title",
  "description",
  "examples",
  "default",
  "contentMediaType",
  "contentSchema"
])

/** Whether two pieces of JSON are the same, whatever the order of their keys. */
export const equal = (a: unknown, b: unknown): boolean => {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => equal(item, b[i]))
  if (!isRecord(a) || !isRecord(b)) return Object.is(a, b)
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]))
}

/** An object's own: `constructor` is a name like any other. */
export const own = <A>(record: { readonly [name: string]: A }, name: string): A | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined

/** Whether a piece of JSON is an object. */
export const isRecord = (value: unknown): value is JsonSchema =>
  typeof value === "object" && value !== null && !Array.isArray(value)
