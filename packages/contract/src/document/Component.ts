/** Where a shared schema is referred to, in OpenAPI as in AsyncAPI. */
export const reference = (name: string): string => `${prefix}${name}`

/** The name in such a reference, if it is one. */
export const referred = (ref: unknown): string | undefined =>
  typeof ref === "string" && ref.startsWith(prefix) ? ref.slice(prefix.length) : undefined

/** A text as one part of a component's name. No two texts get one name; dots part service, actor and command. */
export const part = (text: string): string =>
  text.replaceAll(/[^A-Za-z0-9_-]/gu, (char) => `.${char.codePointAt(0)?.toString(16).toUpperCase()}.`)

/** The text of such a part, for people. */
export const textOf = (part: string): string =>
  part.replaceAll(/\.([0-9A-F]+)\./g, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))

const prefix = "#/components/schemas/"
