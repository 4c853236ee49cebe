import type { Code } from "../Codes.ts"
import type { Command, TypedError } from "./Catalog.ts"
import { part, reference } from "./Component.ts"
import type { JsonSchema } from "./JsonSchema.ts"

/** The `type` of a problem that a typed error of a command is: `urn:troupe:error:orders.Order.place:OutOfStock`. */
export const errorType = (command: string, tag: string): string =>
  `urn:troupe:error:${command}:${encodeURIComponent(tag.toWellFormed())}`

/** The `type` of any other problem: `urn:troupe:problem:TRP0201`. */
export const problemType = (code: Code): string => `urn:troupe:problem:${code}`

/** RFC 9457. What every problem has; `code` and `error` say which kind it is. */
export const problem: JsonSchema = {
  type: "object",
  description: "What went wrong (RFC 9457).",
  properties: {
    type: { type: "string", format: "uri", description: "Names the kind of problem: it is what code should look at." },
    title: { type: "string", description: "The kind of problem, in words." },
    status: { type: "integer", minimum: 400, maximum: 599, description: "The HTTP status." },
    detail: { type: "string", description: "What happened, why, and what to do." },
    instance: { type: "string", format: "uri-reference" },
    code: { type: "string", pattern: "^TRP[0-9]{4}$", description: "The code of Troupe; not with typed errors." }
  },
  required: ["type", "title", "status"],
  additionalProperties: true
}

/** The same id with another request: the one problem of status 422 that is no typed error. */
export const another: JsonSchema = {
  ...problem,
  description: "The Idempotency-Key was used before, for another request.",
  properties: {
    ...(problem["properties"] as JsonSchema),
    type: { type: "string", const: problemType("TRP0206") },
    status: { type: "integer", const: 422 },
    code: { type: "string", const: "TRP0206" }
  },
  required: ["type", "title", "status", "code"]
}

/** The problem that a typed error of a command is. */
export const typed = (command: Command, { schema, tag }: TypedError): JsonSchema => ({
  type: "object",
  description: `The command refuses: ${tag ?? "an error without a fixed tag"}. Nothing was changed.`,
  properties: {
    type:
      tag === undefined
        ? { type: "string", pattern: `^urn:troupe:error:${command.id.replaceAll(".", "\\.")}:` }
        : { type: "string", const: errorType(command.id, tag) },
    title: tag === undefined ? { type: "string" } : { type: "string", const: tag },
    status: { type: "integer", const: 422 },
    detail: { type: "string" },
    instance: { type: "string", format: "uri-reference" },
    error: schema
  },
  required: ["type", "title", "status", "error"],
  additionalProperties: true
})

/** An example of it. */
export const example = (command: Command, { example, tag }: TypedError): JsonSchema | undefined =>
  tag === undefined || example === undefined
    ? undefined
    : {
        type: errorType(command.id, tag),
        title: tag,
        status: 422,
        detail: `${command.id} refuses: ${tag}`,
        error: example
      }

/** The name of its component. */
export const errorName = (command: string, tag: string | undefined): string =>
  `${command}.error${tag === undefined ? "" : `.${part(tag)}`}`

/** What a command answers with status 422. */
export const refusals = (command: Command): JsonSchema => {
  const own = command.errors.map((error) => ({ error, ref: reference(errorName(command.id, error.tag)) }))
  if (own.length === 0) return { $ref: reference(anotherName) }
  const all = [...own.map(({ ref }) => ({ $ref: ref })), { $ref: reference(anotherName) }]
  // Without a tag, nothing keeps two of them apart.
  if (own.some(({ error }) => error.tag === undefined)) return { anyOf: all }
  const mapping = own.map(({ error, ref }) => [errorType(command.id, error.tag ?? ""), ref] as const)
  return {
    oneOf: all,
    discriminator: {
      propertyName: "type",
      mapping: Object.fromEntries([...mapping, [problemType("TRP0206"), reference(anotherName)]])
    }
  }
}
/** The names of their components. */
export const problemName = "Problem"
export const anotherName = "AnotherRequest"
