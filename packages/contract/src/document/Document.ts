import * as Schema from "effect/Schema"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import { actors, type AnyActorRef, type AnyContract, type Codec, type WhenDead } from "../Contract.ts"
import { isRecord, type JsonSchema, tidy } from "./JsonSchema.ts"

/** A contract as data: what other languages read, and what a later version of it is compared with. */
export interface Document {
  /** The version of this form. */
  readonly document: 1
  readonly service: string
  readonly version: number
  readonly actors: { readonly [name: string]: Actor }
  /** What several schemas share, referred to as `#/$defs/<name>`. */
  readonly $defs: { readonly [name: string]: JsonSchema }
}
/** Schemas are JSON Schema 2020-12, of what is on the wire. `x-expected` is what JSON Schema cannot say, for people. */
export interface Actor {
  readonly key: JsonSchema
  readonly whenDead: WhenDead
  readonly commands: { readonly [name: string]: Command }
  readonly events: { readonly [name: string]: ReadonlyArray<JsonSchema> }
}
export interface Command {
  readonly payload: JsonSchema
  /** None: the answer is the empty text. */
  readonly reply?: JsonSchema
  readonly errors: ReadonlyArray<JsonSchema>
}

/**
 * The document of a contract. Names are sorted, so the order of declarations says nothing. Throws what a schema throws
 * that has no JSON form.
 */
export const make = (contract: AnyContract): Document => {
  const schemas: Array<Codec> = []
  const written: Array<JsonSchema> = []
  // All schemas are written at once, so that they share definitions: what is named is read after that.
  const later = (schema: Codec) => {
    const at = schemas.push(schema) - 1
    return () => written[at] ?? {}
  }
  const parts = sorted(actors(contract).map((ref) => [ref.name.slice(ref.name.indexOf(".") + 1), actor(ref, later)]))
  const $defs = write(schemas, written)
  return {
    document: 1,
    service: contract["~service"],
    version: contract["~version"],
    actors: mapped(parts, (read) => read()),
    $defs
  }
}

/** The text of its file: two spaces, and a line end at the end. The same contract gives the same text. */
export const text = (document: Document): string => `${JSON.stringify(document, undefined, 2)}\n`

/** Reads the text of a file, or says why it is no document. */
export const parse = (text: string): Document | { readonly why: string } => {
  const value = parsed(text)
  if (value === undefined) return { why: "it is no JSON" }
  if (!isRecord(value) || !("document" in value)) return { why: "it is no exported contract" }
  if (value["document"] !== 1) return { why: `its form ${JSON.stringify(value["document"])} is not known here` }
  const told = Schema.decodeUnknownResult(Shape)(value)
  return told._tag === "Success" ? (value as unknown as Document) : { why: String(told.failure).slice(0, 300) }
}

const Node = Schema.Record(Schema.String, Schema.Unknown)
const Shape = Schema.Struct({
  service: Schema.String,
  version: Schema.Int,
  actors: Schema.Record(
    Schema.String,
    Schema.Struct({
      key: Node,
      whenDead: Schema.Literals(["skip", "block"]),
      commands: Schema.Record(
        Schema.String,
        Schema.Struct({ payload: Node, reply: Schema.optionalKey(Node), errors: Schema.Array(Node) })
      ),
      events: Schema.Record(Schema.String, Schema.NonEmptyArray(Node))
    })
  ),
  $defs: Schema.Record(Schema.String, Node)
})

type Later = (schema: Codec) => () => JsonSchema

const actor = ({ definition }: AnyActorRef, later: Later): (() => Actor) => {
  const key = later(definition.key)
  const commands = sorted(
    Object.entries(definition.commands).map(([name, { errors, payload, reply }]) => {
      const read = { payload: later(Schema.Struct(payload)), errors: errors.map(later) }
      const answer = isEmptyText(reply) ? undefined : later(reply)
      const command = (): Command => ({
        payload: read.payload(),
        ...(answer === undefined ? {} : { reply: answer() }),
        errors: read.errors.map((error) => error())
      })
      return [name, command]
    })
  )
  const events = sorted(
    Object.entries(definition.events).map(([name, { payload, upcasts }]) => {
      const versions = [...upcasts.map(({ from }) => from), payload].map((fields) => later(Schema.Struct(fields)))
      return [name, () => versions.map((version) => version())]
    })
  )
  return () => ({
    key: key(),
    whenDead: definition.whenDead,
    commands: mapped(commands, (read) => read()),
    events: mapped(events, (read) => read())
  })
}

const isEmptyText = ({ ast }: Codec): boolean => ast._tag === "Void" || ast._tag === "Undefined"

const write = (schemas: ReadonlyArray<Codec>, into: Array<JsonSchema>): Document["$defs"] => {
  const [first, ...rest] = schemas.map((schema) => Schema.toCodecJson(schema as Schema.Codec<unknown>).ast)
  if (first === undefined) return {}
  const all = SchemaRepresentation.toJsonSchemaMultiDocument(
    told(SchemaRepresentation.toRepresentations([first, ...rest])),
    { includeAnnotationKey: (key) => key === "expected" }
  )
  into.push(...all.schemas.map((schema) => tidy(schema as JsonSchema)))
  return mapped(sorted(Object.entries(all.definitions)), (schema) => tidy(schema as JsonSchema))
}

/**
 * The same schemas, where Effect's JSON Schema would leave out what tells them apart: the flags of a pattern, the pattern
 * behind words of one's own, and what a record holds whose names are checked by anything but a pattern.
 */
const told = <A>(node: A): A => {
  if (Array.isArray(node)) return node.map(told) as A
  if (!isRecord(node)) return node
  const all = Object.fromEntries(
    Object.entries(node).map(([name, value]) => [name, opaque.has(name) ? value : told(value)])
  )
  const { annotations, parameter, representation } = all
  if (idOf(all) === pattern && isRecord(annotations) && isRecord(representation)) {
    const { flags, source } = representation["payload"] as { readonly flags: string; readonly source: string }
    const expected = String(annotations["expected"])
    if (flags !== "" || !expected.includes(source))
      all["annotations"] = { ...annotations, expected: `${expected}: /${source}/${flags}` }
  }
  if (isRecord(parameter) && Array.isArray(parameter["checks"]))
    all["parameter"] = { ...parameter, checks: parameter["checks"].filter((check) => idOf(check) === pattern) }
  return all as A
}
const pattern = "effect/schema/isPattern"
/** What of a node is no node. */
const opaque = new Set(["annotations", "representation"])
const idOf = ({ representation }: JsonSchema): unknown => isRecord(representation) && representation["id"]

const sorted = <A>(entries: ReadonlyArray<readonly [string, A]>): { readonly [name: string]: A } =>
  Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)))
const mapped = <A, B>(record: { readonly [name: string]: A }, f: (value: A) => B): { readonly [name: string]: B } =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, f(value)]))
const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
