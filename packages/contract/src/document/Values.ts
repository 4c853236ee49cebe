import type { JsonSchema } from "./JsonSchema.ts"

/** How Effect says in words what JSON Schema cannot. */
const length = /^a value with a length of at (least|most) (\d+)$/
/** Whether a text of `x-expected` follows from others. */
export const implied = (text: string, texts: ReadonlyArray<string>): boolean => {
  const [, side, bound] = length.exec(text) ?? []
  return texts.some((other) => {
    const [, same, value] = length.exec(other) ?? []
    if (side === undefined || same !== side) return other === text
    return side === "least" ? Number(value) >= Number(bound) : Number(value) <= Number(bound)
  })
}

/** Whether a text says the bound already, and exactly. */
const bounded = (node: JsonSchema, side: string): boolean =>
  names(node["x-expected"]).some((text) => length.exec(text)?.[1] === side)

/** What a string may be, by its keywords. */
export const string = (w: JsonSchema, r: JsonSchema): ReadonlyArray<string> => [
  ...(!bounded(r, "least") && number(w, "minLength", 0) < number(r, "minLength", 0)
    ? [`it may be shorter than ${String(r["minLength"])}`]
    : []),
  ...(!bounded(r, "most") && number(w, "maxLength", Infinity) > number(r, "maxLength", Infinity)
    ? [`it may be longer than ${String(r["maxLength"])}`]
    : []),
  ...patterns(r)
    .filter((pattern) => !patterns(w).includes(pattern))
    .map((pattern) => `it must match ${pattern}`)
]
const patterns = (node: JsonSchema): ReadonlyArray<string> =>
  [node, ...nodes(node["allOf"] ?? [])].flatMap(({ pattern }) => (typeof pattern === "string" ? [pattern] : []))

/** The keywords that `holds` and `bounds` look at. */
export const decided = ["pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]

/** How a number may be outside of what the reader takes. */
export const bounds = (w: JsonSchema, r: JsonSchema): ReadonlyArray<string> => {
  const [least, most, lower, upper] = [lowest(w), highest(w), lowest(r), highest(r)]
  const step = number(r, "multipleOf", 0)
  return [
    ...(least.value < lower.value || (least.value === lower.value && lower.open && !least.open)
      ? [`it may be lower than ${lower.value}${lower.open ? " or the same" : ""}`]
      : []),
    ...(most.value > upper.value || (most.value === upper.value && upper.open && !most.open)
      ? [`it may be higher than ${upper.value}${upper.open ? " or the same" : ""}`]
      : []),
    ...(step === 0 ||
    w["multipleOf"] === step ||
    (number(w, "multipleOf", 0) % step === 0 && w["multipleOf"] !== undefined)
      ? []
      : [`it must be a multiple of ${step}`])
  ]
}
const lowest = (node: JsonSchema) => tightest(node, "minimum", "exclusiveMinimum", -Infinity, Math.max)
const highest = (node: JsonSchema) => tightest(node, "maximum", "exclusiveMaximum", Infinity, Math.min)
const tightest = (
  node: JsonSchema,
  closed: string,
  open: string,
  none: number,
  of: (a: number, b: number) => number
) => {
  const exclusive = number(node, open, none)
  const value = of(number(node, closed, none), exclusive)
  return { value, open: exclusive === value && Number.isFinite(value) }
}

/** Whether a value of an enum is taken. */
export const holds = (value: unknown, r: JsonSchema): boolean => {
  const values = r["enum"] as ReadonlyArray<unknown> | undefined
  if (values !== undefined) return values.includes(value)
  if (typeof value === "string")
    return r["type"] === "string" && patterns(r).every((pattern) => new RegExp(pattern, "u").test(value))
  if (typeof value !== "number") return r["type"] === typeof value
  if (r["type"] !== "number" && !(r["type"] === "integer" && Number.isSafeInteger(value))) return false
  return bounds({ minimum: value, maximum: value, multipleOf: value }, r).length === 0
}

export const nodes = (value: unknown): ReadonlyArray<JsonSchema> => value as ReadonlyArray<JsonSchema>
export const names = (value: unknown): ReadonlyArray<string> => (value ?? []) as ReadonlyArray<string>
export const number = (node: JsonSchema, keyword: string, none: number): number =>
  typeof node[keyword] === "number" ? node[keyword] : none
