import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Decoded, Encoded, Wire } from "./Message.ts"

/** A schema that needs no services, so that every runtime can decode with it. */
export interface Codec<T = unknown> extends Schema.ConstraintCodec<T, unknown, never, never> {}

/**
 * JSON by `schema`, canonical for types that JSON has not (dates as RFC 3339, bigints as strings).
 * `void` is the empty text. Encoding first builds instances of the classes in the schema, so plain objects do.
 */
export const make = (schema: Codec): Wire => {
  let lazy: { readonly encode: Encode; readonly decode: Decode } | undefined
  const codec = () => (lazy ??= codecs(schema))
  return {
    encode: (value): Encoded => {
      // A handler without a reply may return anything: `void` takes it, and the wire carries nothing of it.
      if (schema.ast._tag === "Void" || (value === undefined && isVoid(schema))) return nothing
      const built = Result.try(() => (schema as unknown as { make(value: unknown): unknown }).make(value))
      if (Result.isFailure(built)) return { ok: false, why: reason(built.failure) }
      const text = codec().encode(built.success)
      return Result.isSuccess(text)
        ? { ok: true, text: text.success, value: built.success }
        : { ok: false, why: reason(text.failure) }
    },
    decode: (text): Decoded => {
      if (text === "" && isVoid(schema)) return { ok: true, value: undefined }
      const value = codec().decode(text)
      return Result.isSuccess(value) ? { ok: true, value: value.success } : { ok: false, why: reason(value.failure) }
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

/** What went wrong, in at most 500 characters. */
const reason = (failure: unknown): string => {
  if (!(failure instanceof Error)) return String(failure).slice(0, 500)
  const issue = failure.cause
  return (SchemaIssue.isIssue(issue) ? SchemaIssue.makeFormatterDefault()(issue) : failure.message).slice(0, 500)
}
