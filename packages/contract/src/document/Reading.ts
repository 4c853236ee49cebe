import { below, equal, isNamed, isRecord, type JsonSchema, own } from "./JsonSchema.ts"
import { bounds, decided, holds, implied, names, nodes, number, string } from "./Values.ts"

/** A schema, and the definitions that it refers to. */
export interface Rooted {
  readonly node: JsonSchema
  readonly $defs: Definitions
}
type Definitions = { readonly [name: string]: JsonSchema }
/** What a writer may write and a reader refuses. */
export interface Problem {
  /** Below the root: `.lines[].sku`. */
  readonly at: string
  readonly why: string
}

/**
 * What of the writer's values the reader cannot read; nothing when it reads all of them. A writer writes only the
 * properties that it declares, and a reader passes over those that it does not know: so does Effect. What cannot be
 * decided is a problem: two patterns, say, that are not the same text.
 */
export const problems = (writer: Rooted, reader: Rooted): ReadonlyArray<Problem> =>
  reads(writer.node, reader.node, "", { w: writer.$defs, r: reader.$defs, open: [] })

/** Whether both say the same, whatever their definitions are called, and but for what is only for people. */
export const same = (a: Rooted, b: Rooted): boolean => alike(a.node, b.node, { w: a.$defs, r: b.$defs, open: [] })

/** The schema that is meant: references followed, and without what is only for people. */
export const meant = ({ $defs, node }: Rooted): JsonSchema => resolved(node, $defs)

interface Context {
  readonly w: Definitions
  readonly r: Definitions
  /** The pairs of schemas that are being compared, as text: a recursive schema meets itself, be it in a union or beside other names. */
  readonly open: ReadonlyArray<string>
}

const forPeople = new Set(["title", "description", "examples", "default", "readOnly", "writeOnly", "$comment"])
const plain = (node: JsonSchema): JsonSchema =>
  Object.fromEntries(Object.entries(below(node, plain)).filter(([keyword]) => !forPeople.has(keyword)))

const resolved = (node: JsonSchema, $defs: Definitions): JsonSchema => {
  const to = node["$ref"]
  if (typeof to !== "string") return plain(node)
  const name = decodeURIComponent(to.replace("#/$defs/", ""))
  const found = own($defs, name.replaceAll("~1", "/").replaceAll("~0", "~"))
  return found === undefined ? { not: {} } : resolved(found, $defs)
}

/** The context below a pair of schemas, references followed; `undefined` when that pair is open already. */
const entered = (writer: JsonSchema, reader: JsonSchema, context: Context): Context | undefined => {
  const pair = JSON.stringify([writer, reader])
  return context.open.includes(pair) ? undefined : { ...context, open: [...context.open, pair] }
}

const alike = (a: JsonSchema, b: JsonSchema, outer: Context): boolean => {
  const [one, other] = [resolved(a, outer.w), resolved(b, outer.r)]
  const context = entered(one, other, outer)
  if (context === undefined) return true
  const below = (keyword: string, x: unknown, y: unknown): boolean => {
    if (Array.isArray(x) && Array.isArray(y)) {
      return x.length === y.length && x.every((item, i) => below("", item, y[i]))
    }
    if (!isRecord(x) || !isRecord(y)) return equal(x, y)
    return isNamed(keyword) ? keysAlike(x, y, (name) => below("", x[name], y[name])) : alike(x, y, context)
  }
  return keysAlike(one, other, (keyword) => below(keyword, one[keyword], other[keyword]))
}
const keysAlike = (x: JsonSchema, y: JsonSchema, values: (key: string) => boolean): boolean => {
  const keys = Object.keys(x)
  return keys.length === Object.keys(y).length && keys.every((key) => Object.hasOwn(y, key) && values(key))
}

const reads = (writer: JsonSchema, reader: JsonSchema, at: string, outer: Context): ReadonlyArray<Problem> => {
  const [w, r] = [resolved(writer, outer.w), resolved(reader, outer.r)]
  const context = entered(w, r, outer)
  if (context === undefined) return []
  const problem = (why: string): ReadonlyArray<Problem> => [{ at, why }]
  if (isEmpty(r) || isNever(w)) return []
  if (isNever(r)) return problem(`${shown(w)} may come, and nothing is taken`)
  const exclusive =
    r["oneOf"] !== undefined && new Set(nodes(r["oneOf"]).map(({ type }) => type)).size < nodes(r["oneOf"]).length
  if (exclusive && !alike(w, r, context))
    return problem("exactly one of several schemas must match, and that cannot be told")
  const written = branches(w)
  if (exclusive && written !== undefined) return []
  if (written !== undefined) {
    const { anyOf: _any, oneOf: _one, ...beside } = w
    return written.flatMap((branch) =>
      reads(isEmpty(beside) ? branch : { ...beside, ...resolved(branch, context.w) }, r, at, context)
    )
  }
  const read = branches(r)
  if (read !== undefined) {
    const { anyOf: _any, oneOf: _one, ...beside } = r
    return [...others(w, beside, [], at), ...some(w, read, at, context)]
  }
  return one(w, r, at, context)
}

/** One of the reader's branches must take it all; of the values of an enum, each its own. */
const some = (w: JsonSchema, read: ReadonlyArray<JsonSchema>, at: string, context: Context): ReadonlyArray<Problem> => {
  const found = read.map((branch) => ({ branch: resolved(branch, context.r), problems: reads(w, branch, at, context) }))
  if (found.some(({ problems }) => problems.length === 0)) return []
  const values = w["enum"] as ReadonlyArray<unknown> | undefined
  if (values !== undefined && values.length > 1) {
    return values.flatMap((value) => some({ ...w, enum: [value] }, read, at, context))
  }
  const akin = found.filter(({ branch }) => branch["type"] === w["type"] && tag(branch) === tag(w))
  const [only] = akin.length === 1 ? akin : []
  return only?.problems ?? [{ at, why: `${shown(w)} may come, and is not taken` }]
}

/** Neither is a union. */
const one = (w: JsonSchema, r: JsonSchema, at: string, context: Context): ReadonlyArray<Problem> => {
  const problem = (why: string): ReadonlyArray<Problem> => [{ at, why }]
  if (r["type"] === undefined)
    return alike(w, r, context) ? [] : problem("it is told by a schema that cannot be compared")
  const fits = w["type"] === r["type"] || (w["type"] === "integer" && r["type"] === "number")
  const [from, to] = [w["enum"], r["enum"]] as ReadonlyArray<ReadonlyArray<unknown> | undefined>
  if (from !== undefined) {
    const refused = from.filter((value) => !holds(value, r))
    return [
      ...(refused.length === 0
        ? []
        : problem(`${refused.map((value) => JSON.stringify(value)).join(", ")} may come, and is not taken`)),
      ...others({}, r, ["type", "enum", ...decided], at)
    ]
  }
  if (!fits) return problem(`${shown(w)} may come, and ${shown(r)} is taken`)
  if (to !== undefined)
    return problem(`${shown(w)} may come, and only ${to.map((value) => JSON.stringify(value)).join(", ")} is taken`)
  switch (r["type"]) {
    case "string":
      return [
        ...string(w, r).flatMap(problem),
        ...others(w, r, ["type", "minLength", "maxLength", "pattern", "allOf"], at)
      ]
    case "integer":
    case "number":
      return [...bounds(w, r).flatMap(problem), ...others(w, r, ["type", ...decided], at)]
    case "object":
      return [
        ...object(w, r, at, context),
        ...others(w, r, ["type", "properties", "required", "additionalProperties", "patternProperties"], at)
      ]
    case "array":
      return [
        ...array(w, r, at, context),
        ...others(w, r, ["type", "prefixItems", "items", "minItems", "maxItems"], at)
      ]
    default:
      return others(w, r, ["type"], at)
  }
}

/** Every keyword of the reader that nothing else here looks at must be the writer's too. */
const others = (w: JsonSchema, r: JsonSchema, known: ReadonlyArray<string>, at: string): ReadonlyArray<Problem> =>
  Object.keys(r).flatMap((keyword) => {
    if (known.includes(keyword)) return []
    if (keyword === "x-expected") {
      const texts = (w[keyword] ?? []) as ReadonlyArray<string>
      return (r[keyword] as ReadonlyArray<string>)
        .filter((text) => !implied(text, texts))
        .map((text) => ({ at, why: `it must be ${text}` }))
    }
    return equal(w[keyword], r[keyword]) ? [] : [{ at, why: `its ${keyword} is ${JSON.stringify(r[keyword])}` }]
  })

const object = (w: JsonSchema, r: JsonSchema, at: string, context: Context): ReadonlyArray<Problem> => {
  const [written, wanted] = [map(w["properties"]), map(r["properties"])]
  const [always, required] = [names(w["required"]), names(r["required"])]
  const other = rest(w)
  const found: Array<Problem> = []
  for (const [name, schema] of Object.entries(wanted)) {
    const where = `${at}.${name}`
    if (required.includes(name) && !always.includes(name))
      found.push({ at: where, why: "it is required, and may be missing" })
    const declared = own(written, name)
    for (const node of declared === undefined ? other : [declared]) found.push(...reads(node, schema, where, context))
  }
  // Whatever else the reader has a schema for: a record.
  for (const schema of rest(r)) {
    for (const [name, node] of Object.entries(written)) {
      if (!Object.hasOwn(wanted, name)) found.push(...reads(node, schema, `${at}.${name}`, context))
    }
    for (const node of other) found.push(...reads(node, schema, `${at}.*`, context))
  }
  return found
}
/** The schemas of properties without a declared name. `true` is how Effect says that it passes over them. */
const rest = (node: JsonSchema): ReadonlyArray<JsonSchema> => {
  const { additionalProperties: more = {}, patternProperties } = node
  return [
    ...Object.values(map(patternProperties)),
    ...(more === true ? [] : [more === false ? { not: {} } : (more as JsonSchema)])
  ]
}

const array = (w: JsonSchema, r: JsonSchema, at: string, context: Context): ReadonlyArray<Problem> => {
  const found: Array<Problem> = []
  const [most, upper] = [number(w, "maxItems", Infinity), number(r, "maxItems", Infinity)]
  if (number(w, "minItems", 0) < number(r, "minItems", 0))
    found.push({ at, why: `it may have fewer than ${String(r["minItems"])} items` })
  if (most > upper) found.push({ at, why: `it may have more than ${upper} items` })
  const places = Math.max(nodes(w["prefixItems"] ?? []).length, nodes(r["prefixItems"] ?? []).length)
  for (let i = 0; i < places && i < most; i++) found.push(...reads(item(w, i), item(r, i), `${at}[${i}]`, context))
  if (places < most) found.push(...reads(item(w, places), item(r, places), `${at}[]`, context))
  return found
}
const item = (node: JsonSchema, i: number): JsonSchema =>
  nodes(node["prefixItems"] ?? [])[i] ?? ((node["items"] ?? {}) as JsonSchema)

/** What tells the members of a union apart. */
export const tag = (node: JsonSchema): string | undefined => {
  const values = own(map(node["properties"]), "_tag")?.["enum"]
  return Array.isArray(values) && values.length === 1 ? String(values[0]) : undefined
}

/** A schema in a word or two. */
const shown = (node: JsonSchema): string => {
  if (Array.isArray(node["enum"])) return node["enum"].map((value) => JSON.stringify(value)).join(" or ")
  const named = tag(node)
  return named !== undefined
    ? `the object ${named}`
    : typeof node["type"] === "string"
      ? (articles[node["type"]] ?? node["type"])
      : "anything"
}
const articles: { readonly [type: string]: string } = {
  string: "a string",
  number: "a number",
  integer: "an integer",
  object: "an object",
  array: "an array",
  boolean: "a boolean"
}

const isEmpty = (node: JsonSchema): boolean => Object.keys(node).length === 0
const isNever = (node: JsonSchema): boolean => isRecord(node["not"]) && isEmpty(node["not"])
const map = (value: unknown): Definitions => (value ?? {}) as Definitions
const branches = (node: JsonSchema): ReadonlyArray<JsonSchema> | undefined =>
  (node["anyOf"] ?? node["oneOf"]) as ReadonlyArray<JsonSchema> | undefined
