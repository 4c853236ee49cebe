import { referred, textOf } from "../Component.ts"
import { equal, isRecord, type JsonSchema } from "../JsonSchema.ts"
import { html, type Html, joined } from "./Html.ts"

/** A schema as a line of TypeScript would say it; shared ones are links. Nested deeper than 5, it is `…`. */
export const type = (schema: JsonSchema, depth = 5): Html => {
  const inner = (child: unknown): Html => (isRecord(child) ? type(child, depth - 1) : html`any`)
  const name = referred(schema["$ref"])
  if (name !== undefined) return html`<a href="#shape.${name}">${textOf(name.slice(name.indexOf(".") + 1))}</a>`
  if (depth === 0) return html`…`
  const { additionalProperties, anyOf, enum: values, items, prefixItems, properties, required } = schema
  if (Array.isArray(values)) return joined(many(values.map((value) => JSON.stringify(value))), " | ")
  if (Array.isArray(anyOf)) return joined(many(anyOf.map(inner)), " | ")
  switch (schema["type"]) {
    case "array":
      if (isTuple(schema)) {
        const rest = isRecord(items) ? [html`...${inner(items)}[]`] : []
        return html`[${joined([...many((prefixItems as ReadonlyArray<unknown>).map(inner)), ...rest], ", ")}]`
      }
      return isRecord(items) && "anyOf" in items ? html`(${inner(items)})[]` : html`${inner(items)}[]`
    case "object": {
      const needed = Array.isArray(required) ? (required as ReadonlyArray<string>) : []
      const fields = Object.entries(isRecord(properties) ? properties : {}).map(
        ([name, child]) => html`${name}${!needed.includes(name) && "?"}: ${inner(child)}`
      )
      const rest = isRecord(additionalProperties) ? [html`[name]: ${inner(additionalProperties)}`] : []
      return fields.length + rest.length === 0 ? html`{}` : html`{ ${joined(many([...fields, ...rest]), ", ")} }`
    }
    case undefined:
      return html`any`
    default:
      return html`${String(schema["type"])}`
  }
}

/** Not a list whose first items are written out, to say how many there are at least. */
const isTuple = ({ items, prefixItems }: JsonSchema): boolean =>
  Array.isArray(prefixItems) && !prefixItems.every((item) => equal(item, items))

/** What else a value must be, in words. */
export const limits = (schema: JsonSchema): ReadonlyArray<string> =>
  Object.entries(schema).flatMap(([keyword, value]) => {
    if (keyword === "x-expected") return value as ReadonlyArray<string>
    // It says the length in the units of JavaScript.
    if (keyword.endsWith("Length") && "x-expected" in schema) return []
    if (keyword.endsWith("Items") && isTuple(schema)) return []
    // Any integer of JavaScript.
    if (Math.abs(Number(value)) === Number.MAX_SAFE_INTEGER) return []
    const words = phrases[keyword]
    return words === undefined ? [] : [words.replace("#", () => String(value))]
  })
const phrases: { readonly [keyword: string]: string } = {
  contentEncoding: "#",
  format: "format #",
  pattern: "matches #",
  minimum: "at least #",
  exclusiveMinimum: "more than #",
  maximum: "at most #",
  exclusiveMaximum: "less than #",
  multipleOf: "a multiple of #",
  minLength: "# or more characters",
  maxLength: "# or fewer characters",
  minItems: "# or more items",
  maxItems: "# or fewer items"
}

const many = <A>(all: ReadonlyArray<A>): ReadonlyArray<A | string> =>
  all.length > 30 ? [...all.slice(0, 30), "…"] : all
