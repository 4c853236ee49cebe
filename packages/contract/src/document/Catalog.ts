import * as SchemaAST from "effect/SchemaAST"
import { actors, type AnyActorRef, type AnyContract, type Codec, type Fields } from "../Contract.ts"
import { part, reference, referred } from "./Component.ts"
import * as Document from "./Document.ts"
import * as Example from "./Example.ts"
import { below, equal, isRecord, type JsonSchema, own } from "./JsonSchema.ts"

/** What several contracts say, for documents of other forms. Schemas refer to `#/components/schemas/<name>`. */
export interface Catalog {
  readonly services: ReadonlyArray<Service>
  /** What several schemas share, by `<service>.<name>`. */
  readonly shared: { readonly [name: string]: JsonSchema }
}
/** All lists are sorted by name. */
export interface Service {
  readonly name: string
  readonly version: number
  readonly actors: ReadonlyArray<Actor>
}
export interface Actor {
  readonly name: string
  /** `orders.Order` */
  readonly id: string
  readonly key: Shape
  readonly commands: ReadonlyArray<Command>
  readonly events: ReadonlyArray<Event>
}
export interface Command {
  readonly name: string
  /** `orders.Order.place` */
  readonly id: string
  readonly payload: Shape
  /** None: it answers with nothing. */
  readonly reply?: Shape
  readonly errors: ReadonlyArray<TypedError>
}
/** `tag` is what `_tag` always is; none where the schema does not say. */
export interface TypedError extends Shape {
  readonly tag?: string
}
export interface Event {
  readonly name: string
  /** `orders.Order.placed` */
  readonly id: string
  /** From version 1 on. */
  readonly versions: ReadonlyArray<Shape>
}
/** `example` is JSON that the contract takes; none where none was found. */
export interface Shape {
  readonly schema: JsonSchema
  readonly example?: unknown
}

/** Two contracts of one service are one too many: throws a `TypeError`. Throws what `Document.make` throws. */
export const make = (contracts: ReadonlyArray<AnyContract>): Catalog => {
  const documents = contracts
    .map((contract) => ({ contract, document: Document.make(contract) }))
    .sort((a, b) => (a.document.service < b.document.service ? -1 : 1))
  const shared: Record<string, JsonSchema> = {}
  const services = documents.map(({ contract, document }, i) => {
    if (documents[i - 1]?.document.service === document.service) {
      throw new TypeError(`there are two contracts of the service "${document.service}"`)
    }
    const names = componentNames(document)
    const rewrite = (schema: JsonSchema): JsonSchema => {
      const node = below(schema, rewrite)
      return typeof node["$ref"] === "string"
        ? { ...node, $ref: reference(names.get(definition(node["$ref"])) ?? "") }
        : node
    }
    for (const [name, schema] of Object.entries(document.$defs)) shared[names.get(name) ?? ""] = rewrite(schema)
    const refs = new Map(actors(contract).map((ref) => [ref.name, ref]))
    return {
      name: document.service,
      version: document.version,
      actors: Object.entries(document.actors).flatMap(([name, actor]) => {
        const ref = refs.get(`${document.service}.${name}`)
        return ref === undefined ? [] : [actorOf(name, ref, actor, new Read(rewrite, shared))]
      })
    }
  })
  return { services, shared }
}

/** What the documents are called, and their version: that of each contract. */
export const title = ({ services }: Catalog): string => services.map(({ name }) => name).join(", ") || "nothing"
export const version = ({ services }: Catalog): string =>
  services.map(({ name, version }) => (services.length === 1 ? `${version}` : `${name}-${version}`)).join(".") || "0"

/** The names of shared definitions: `orders.Line`. Effect calls what is on the wire of a class `LineEncoded`. */
const componentNames = ({ $defs, service }: Document.Document): ReadonlyMap<string, string> =>
  new Map(
    Object.keys($defs).map((name) => {
      const short = name.replace(/Encoded$/, "")
      return [name, `${service}.${part(short === "" || Object.hasOwn($defs, short) ? name : short)}`]
    })
  )

/** The name in `#/$defs/<name>`: a JSON pointer in a URI (RFC 6901, section 6). */
const definition = (ref: string): string =>
  decodeURIComponent(ref.slice("#/$defs/".length)).replaceAll("~1", "/").replaceAll("~0", "~")

class Read {
  readonly #rewrite: (schema: JsonSchema) => JsonSchema
  readonly #shared: Catalog["shared"]
  constructor(rewrite: (schema: JsonSchema) => JsonSchema, shared: Catalog["shared"]) {
    this.#rewrite = rewrite
    this.#shared = shared
  }

  shape(written: JsonSchema, codec: Codec, name: string): Shape {
    return this.#exampled(described(this.#rewrite(written), codec.ast), codec, name)
  }

  /** An example of each field by itself: what suits one need not suit another. */
  fields(written: JsonSchema, fields: Fields): Shape {
    const whole = this.#rewrite(written)
    const properties = Object.fromEntries(
      Object.entries(isRecord(whole["properties"]) ? whole["properties"] : {}).map(([name, schema]) => {
        const field = own(fields, name)
        return [name, field === undefined ? schema : described(schema as JsonSchema, field.ast)]
      })
    )
    const schema: JsonSchema = { ...whole, properties }
    const example: Record<string, unknown> = {}
    for (const name of Array.isArray(schema["required"]) ? (schema["required"] as ReadonlyArray<string>) : []) {
      const field = own(fields, name)
      const found = field && Example.make(own(properties, name) as JsonSchema, field, this.#shared, name)
      if (found === undefined) return { schema }
      Object.defineProperty(example, name, { value: found, enumerable: true })
    }
    return { schema, example }
  }

  /** One for each tag. An error that is a union is several. */
  errors(written: ReadonlyArray<JsonSchema>, codecs: ReadonlyArray<Codec>): ReadonlyArray<TypedError> {
    const found = new Map<string | undefined, TypedError>()
    for (const [i, whole] of written.entries()) {
      const codec = codecs[i]
      for (const schema of members(this.#rewrite(whole))) {
        const tag = tagOf(schema, this.#shared)
        const before = found.get(tag)
        if (codec === undefined || equal(before?.schema["$ref"] ?? before?.schema, schema["$ref"] ?? schema)) continue
        const error = this.#exampled(isUnion(codec) ? schema : described(schema, codec.ast), codec, tag ?? "error")
        const all = before === undefined ? error : { ...before, schema: { anyOf: [before.schema, schema] } }
        found.set(tag, tag === undefined ? all : { ...all, tag })
      }
    }
    return [...found.values()].sort((a, b) => ((a.tag ?? "") < (b.tag ?? "") ? -1 : 1))
  }

  #exampled(schema: JsonSchema, codec: Codec, name: string): Shape {
    const example = Example.make(schema, codec, this.#shared, name)
    return example === undefined ? { schema } : { schema, example }
  }
}

/**
 * The same with its description: JSON Schema is written of what is on the wire, but classes, and types such as dates, are
 * described where they are decoded.
 */
const described = (schema: JsonSchema, ast: SchemaAST.AST): JsonSchema => {
  const { items, prefixItems } = schema
  const description = SchemaAST.resolveDescription(ast)
  const node = description === undefined || "description" in schema ? schema : { ...schema, description }
  if (ast._tag !== "Arrays") return node
  const { elements, rest } = ast
  const itemOf = (item: unknown, i: number) => {
    const element = elements[i] ?? rest[0]
    return isRecord(item) && element !== undefined ? described(item, element) : item
  }
  return {
    ...node,
    ...(Array.isArray(prefixItems) ? { prefixItems: prefixItems.map(itemOf) } : {}),
    ...(items === undefined ? {} : { items: itemOf(items, elements.length) })
  }
}

const isUnion = ({ ast }: Codec): boolean => ast._tag === "Union"

const actorOf = (name: string, ref: AnyActorRef, document: Document.Actor, read: Read): Actor => {
  const { commands, events, key } = ref.definition
  return {
    name,
    id: ref.name,
    key: read.shape(document.key, key, `${name.slice(0, 1).toLowerCase()}${name.slice(1)}-1`),
    commands: Object.entries(document.commands).flatMap(([name, { errors, payload, reply }]) => {
      const command = own(commands, name)
      if (command === undefined) return []
      return [
        {
          name,
          id: `${ref.name}.${name}`,
          payload: read.fields(payload, command.payload),
          ...(reply === undefined ? {} : { reply: read.shape(reply, command.reply, name) }),
          errors: read.errors(errors, command.errors)
        }
      ]
    }),
    events: Object.entries(document.events).flatMap(([name, versions]) => {
      const event = own(events, name)
      if (event === undefined) return []
      const fields = [...event.upcasts.map(({ from }) => from), event.payload]
      return [
        {
          name,
          id: `${ref.name}.${name}`,
          versions: versions.map((version, i) => read.fields(version, fields[i] ?? {}))
        }
      ]
    })
  }
}

/** What a union of errors may be, or the one that it is. */
const members = (schema: JsonSchema): ReadonlyArray<JsonSchema> =>
  Array.isArray(schema["anyOf"]) ? (schema["anyOf"] as ReadonlyArray<JsonSchema>).flatMap(members) : [schema]

const tagOf = (schema: JsonSchema, shared: Catalog["shared"]): string | undefined => {
  const whole = own(shared, referred(schema["$ref"]) ?? "") ?? schema
  const properties = whole["properties"]
  const tag = isRecord(properties) ? properties["_tag"] : undefined
  const values = isRecord(tag) ? tag["enum"] : undefined
  return Array.isArray(values) && values.length === 1 && typeof values[0] === "string" ? values[0] : undefined
}
