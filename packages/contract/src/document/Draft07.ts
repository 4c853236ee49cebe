import { below, type JsonSchema } from "./JsonSchema.ts"

/**
 * The same schema in draft 07 of JSON Schema, which AsyncAPI 3.0 and its tools read: tuples are called otherwise there,
 * and what stands beside a `$ref` is passed over.
 */
export const of = (schema: JsonSchema): JsonSchema => {
  const { $ref, contentSchema: _, items, prefixItems, ...rest } = below(schema, of)
  const node =
    prefixItems === undefined
      ? { ...rest, ...(items === undefined ? {} : { items }) }
      : { ...rest, items: prefixItems, ...(items === undefined ? {} : { additionalItems: items }) }
  if ($ref === undefined) return node
  return Object.keys(node).length === 0 ? { $ref } : { allOf: [{ $ref }, node] }
}
