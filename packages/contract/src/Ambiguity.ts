import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import type { Wire } from "./Message.ts"

/** Why JSON would not give back a value as it is; `undefined` where it does. */
export type Check = (value: unknown) => string | undefined

/**
 * Finds what a schema would change silently. A union is written, and read, by the first member that fits: where two fit, a
 * field can get lost, or a text become a number. Where no members can be taken for each other, values need no check:
 * `undefined`. `wireOf` makes the wire of a part of the schema, without this check.
 */
export const check = (root: AST.AST, wireOf: (part: AST.AST) => Wire): Check | undefined => {
  const wires = new Map<AST.AST, Wire>()
  const wire = (ast: AST.AST): Wire => {
    const found = wires.get(ast) ?? wireOf(ast)
    wires.set(ast, found)
    return found
  }
  const clear = new Map<AST.AST, boolean>()
  const isClear = (ast: AST.AST): boolean => {
    const found = clear.get(ast) ?? !reaches(ast, isDoubtful, new Set())
    clear.set(ast, found)
    return found
  }
  const walk = (ast: AST.AST, value: unknown): string | undefined => {
    if (isClear(ast)) return undefined
    switch (ast._tag) {
      case "Any": {
        const encoded = wire(Schema.Unknown.ast).encode(value)
        return encoded.ok ? undefined : encoded.why
      }
      case "Union":
        return among(ast, value)
      default:
        for (const [part, of] of parts(ast)) {
          for (const inner of of(value)) {
            const why = walk(part, inner)
            if (why !== undefined) return why
          }
        }
        return undefined
    }
  }
  const among = (ast: AST.Union, value: unknown): string | undefined => {
    const fitting = ast.types.flatMap((type) => {
      const encoded = wire(type).encode(value)
      return encoded.ok ? [{ type, text: encoded.text }] : []
    })
    const [first] = fitting
    if (first === undefined) return undefined
    const read = wire(ast).decode(first.text)
    for (const { text, type } of fitting) {
      const again = read.ok ? wire(type).encode(read.value) : read
      if (again.ok && again.text === text) continue
      const other =
        type === first.type && read.ok
          ? ast.types.find((one) => one !== type && wire(one).encode(read.value).ok)
          : first.type
      return `${nameOf(type)} and ${nameOf(other ?? type)} of a union are alike in JSON: this value would change`
    }
    return walk(first.type, value)
  }
  return isClear(root) ? undefined : (value) => walk(root, value)
}

/** `of`: what a value has there. */
type Part = readonly [part: AST.AST, of: (value: unknown) => ReadonlyArray<unknown>]

/**
 * What a type is made of. Of what is declared otherwise than as a class it is known what an `Option`, a map, and any other
 * collection holds.
 */
const parts = (ast: AST.AST): ReadonlyArray<Part> => {
  switch (ast._tag) {
    case "Suspend":
      return [[ast.thunk(), itself]]
    case "Union":
      return ast.types.map((type) => [type, itself])
    case "Declaration": {
      const fields = fieldsOf(ast)
      return fields === undefined ? ast.typeParameters.map((type, i) => [type, held(ast, i)]) : [[fields, itself]]
    }
    case "Arrays":
      return [...ast.elements, ...ast.rest].map((type, i) => [
        type,
        (value) => (Array.isArray(value) ? value.slice(i, i < ast.elements.length ? i + 1 : undefined) : [])
      ])
    case "Objects":
      return [
        ...ast.propertySignatures.map(({ name, type }): Part => [
          type,
          (value) => (Predicate.hasProperty(value, name) ? [value[name]] : [])
        ]),
        ...ast.indexSignatures.map(({ type }): Part => [type, (value) => Object.values(value ?? {})])
      ]
    default:
      return []
  }
}
const itself = (value: unknown): ReadonlyArray<unknown> => [value]
const held =
  ({ typeParameters: { length } }: AST.Declaration, i: number) =>
  (value: unknown): ReadonlyArray<unknown> => {
    if (Option.isOption(value)) return Option.toArray(value)
    if (!Predicate.isIterable(value)) return []
    return Array.from(value, (one) => (length === 2 ? (one as ReadonlyArray<unknown>)[i] : one))
  }

const reaches = (ast: AST.AST, wanted: (ast: AST.AST) => boolean, seen: Set<AST.AST>): boolean => {
  if (seen.has(ast)) return false
  seen.add(ast)
  return wanted(ast) || parts(ast).some(([part]) => reaches(part, wanted, seen))
}

const isDoubtful = (ast: AST.AST): boolean =>
  ast._tag === "Any" ||
  (ast._tag === "Union" && ast.types.some((one, i) => ast.types.slice(i + 1).some((other) => !isApart(one, other))))

/** Whether no value, and no JSON, is of both types; or each writes and reads what the other does. */
const isApart = (one: AST.AST, other: AST.AST): boolean => {
  if (isPlain(one) && isPlain(other)) return true
  try {
    return disjoint(one, other) && disjoint(written(one), written(other))
  } catch {
    return false
  }
}
const isPlain = ({ _tag, encoding }: AST.AST): boolean =>
  encoding === undefined && /^(String|Literal|TemplateLiteral|Boolean|Null|Enum)$/.test(_tag)
const written = (ast: AST.AST): AST.AST => AST.toEncoded(Schema.toCodecJson(Schema.make<Schema.Top>(ast)).ast)

const disjoint = (one: AST.AST, other: AST.AST): boolean =>
  alternatives(one).every((a) => alternatives(other).every((b) => differ(a, b)))
const alternatives = (ast: AST.AST): ReadonlyArray<AST.AST> =>
  ast._tag === "Suspend" ? alternatives(ast.thunk()) : ast._tag === "Union" ? ast.types.flatMap(alternatives) : [ast]

const differ = (one: AST.AST, other: AST.AST): boolean => {
  const [a, b] = [kindOf(one), kindOf(other)]
  // What is declared is made of objects: of dates, say.
  if (a === undefined || b === undefined) return [one, other].some(AST.isDeclaration) && [a, b].some(isNothing)
  if (a !== b) return true
  if (one._tag === "Literal" && other._tag === "Literal") return one.literal !== other.literal
  // A tag, or any other field that both must have, and that is not the same.
  const others = required(other)
  return required(one).some(({ name, type }) =>
    others.some((field) => field.name === name && disjoint(type, field.type))
  )
}
const required = (ast: AST.AST): ReadonlyArray<AST.PropertySignature> => {
  const fields = ast._tag === "Declaration" ? fieldsOf(ast) : ast
  return fields?._tag === "Objects" ? fields.propertySignatures.filter(({ type }) => !AST.isOptional(type)) : []
}
const kindOf = (ast: AST.AST): string | undefined => {
  if (ast._tag === "Literal") return typeof ast.literal
  if (ast._tag === "TemplateLiteral") return "string"
  if (ast._tag === "Declaration") return fieldsOf(ast) && "object"
  // Without fields it takes almost anything.
  if (ast._tag === "Objects") return parts(ast).length > 0 ? "object" : undefined
  return /^(String|Number|Boolean|Null|Undefined|BigInt|Arrays)$/.test(ast._tag) ? ast._tag.toLowerCase() : undefined
}
const isNothing = (kind: string | undefined): boolean => kind === "null" || kind === "undefined"

/** Of a class. */
const fieldsOf = ({ typeParameters: [fields, more] }: AST.Declaration): AST.AST | undefined =>
  more === undefined && fields?._tag === "Objects" ? fields : undefined

const nameOf = (ast: AST.AST): string => {
  const named = ast.annotations?.["identifier"] ?? ast.annotations?.["expected"]
  if (typeof named === "string") return named
  if (ast._tag === "Objects") return `{ ${ast.propertySignatures.map(({ name }) => String(name)).join(", ")} }`
  return ast._tag === "Literal" ? JSON.stringify(String(ast.literal)) : ast._tag
}
