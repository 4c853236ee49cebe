import * as Cause from "effect/Cause"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Ambiguity from "./Ambiguity.ts"
import type { Decoded, Encoded, Wire } from "./Message.ts"
import * as Reason from "./Reason.ts"

/** A schema that needs no services, so that every runtime can decode with it. */
export interface Codec<T = unknown> extends Schema.ConstraintCodec<T, unknown, never, never> {}

/**
 * JSON by `schema`, canonical for types that JSON has not (dates as RFC 3339, bigints as strings).
 * `void` is the empty text. Encoding first builds instances of the classes in the schema, so plain objects do.
 * A value that would not come back as it is, since members of a union are alike in JSON, is a failure that names them.
 * Never throws, whatever the schema does: a schema that throws, or a value too deep for the stack, is a failure.
 */
export const make = (schema: Codec): Wire => {
  let check: { readonly of: Ambiguity.Check | undefined } | undefined
  const wire = unchecked(schema)
  const wireOf = (part: AST.AST) => unchecked(Schema.make<Codec>(part))
  return {
    encode: (value): Encoded => {
      const encoded = wire.encode(value)
      if (!encoded.ok || encoded === nothing) return encoded
      return guarded(() => {
        const why = (check ??= { of: Ambiguity.check(schema.ast, wireOf) }).of?.(value)
        return why === undefined ? encoded : { ok: false, why: Reason.clean(why, longest) }
      })
    },
    decode: wire.decode
  }
}

/** What a value becomes may be another one: see `Ambiguity`. */
const unchecked = (schema: Codec): Wire => {
  let lazy: { readonly encode: Encode; readonly decode: Decode } | undefined
  const codec = () => (lazy ??= codecs(schema))
  return {
    encode: (value): Encoded =>
      guarded(() => {
        // A handler without a reply may return anything: `void` takes it, and the wire carries nothing of it.
        if (schema.ast._tag === "Void" || (value === undefined && isVoid(schema))) return nothing
        const built = (schema as unknown as { make(value: unknown): unknown }).make(value)
        const text = codec().encode(built)
        return Result.isSuccess(text)
          ? { ok: true, text: text.success, value: built }
          : { ok: false, why: reason(text.failure) }
      }),
    decode: (text): Decoded =>
      guarded(() => {
        if (text === "" && isVoid(schema)) return { ok: true, value: undefined }
        const value = codec().decode(text)
        return Result.isSuccess(value) ? { ok: true, value: value.success } : { ok: false, why: reason(value.failure) }
      })
  }
}

/** JSON of a schema that has changed: written in its newest version, read in any. */
export interface Versioned {
  /** The newest, from 1. */
  readonly version: number
  encode(value: unknown): Encoded
  /** Decodes a value of `version` and brings it up to the newest, or says why not. Never throws. */
  decode(text: string, version: number): Decoded
}

/**
 * `older`: the schemas of versions 1, 2, ... and what makes the next version of their values. `word` names a version in
 * failures.
 */
export const versioned = (
  word: "version" | "shape",
  schema: Codec,
  older: ReadonlyArray<{ readonly from: Codec; readonly up: (old: never) => unknown }>
): Versioned => {
  const newest = make(schema)
  const wires = older.map(({ from }) => make(from))
  const version = older.length + 1
  return {
    version,
    encode: newest.encode,
    decode: (text, of) => {
      if (of === version) return newest.decode(text)
      const wire = wires[of - 1]
      if (wire === undefined) return { ok: false, why: `there is no ${word} ${of} here: the newest is ${version}` }
      const old = wire.decode(text)
      if (!old.ok) return old
      const raised = guarded((): Decoded => {
        const value = older.slice(of - 1).reduce((value, { up }) => up(value as never), old.value)
        return { ok: true, value }
      }, `the upcast of ${word} ${of} failed: `)
      if (!raised.ok) return raised
      // Through the newest schema once more: an upcast may return plain objects, and what it returns is checked like anything read.
      const now = newest.encode(raised.value)
      return now.ok ? { ok: true, value: now.value } : now
    }
  }
}

type Encode = (value: unknown) => Result.Result<string, unknown>
type Decode = (text: string) => Result.Result<unknown, unknown>

const codecs = (schema: Codec): { readonly encode: Encode; readonly decode: Decode } => {
  const json = Schema.fromJsonString(Schema.toCodecJson(schema as Schema.Codec<unknown>))
  return {
    encode: Schema.encodeUnknownResult(json) as unknown as Encode,
    decode: Schema.decodeUnknownResult(json) as unknown as Decode
  }
}

const nothing: Encoded = { ok: true, text: "", value: undefined }
const isVoid = (schema: Codec): boolean => schema.ast._tag === "Void" || schema.ast._tag === "Undefined"

interface Failed {
  readonly ok: false
  readonly why: string
}

/** Code of others may throw: a transformation, a check, a getter, or the stack that a deep value fills. */
const guarded = <A>(run: () => A, where = ""): A | Failed => {
  try {
    return run()
  } catch (thrown) {
    return { ok: false, why: (where + reason(thrown)).slice(0, longest) }
  }
}

/** For a person, in characters. */
const longest = 500

/** What went wrong, in at most 500 characters. */
const reason = (failure: unknown): string => {
  let why = failure
  try {
    const cause = Reason.get(failure, "cause")
    if (SchemaIssue.isIssue(cause)) return Reason.clean(SchemaIssue.makeFormatterDefault()(cause), longest)
    // Effect wraps what a schema throws.
    if (Cause.isCause(cause)) why = cause
  } catch {
    // Its formatter shows the value that does not fit, with code of the value.
  }
  const said = why === failure ? Reason.get(failure, "message") : undefined
  const text = typeof said === "string" && said !== "" ? Reason.clean(said, longest) : Reason.text(why, longest)
  return /call stack|recursion/i.test(text) ? "it is nested too deeply" : text
}
