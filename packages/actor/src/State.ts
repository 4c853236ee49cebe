import { type Contract, type Decoded, type Encoded, Json } from "@troupe/contract"
import type * as Schema from "effect/Schema"

/** The shape of an actor's state and how older shapes become it. */
export interface State<S> {
  readonly version: number
  readonly schema: Schema.ConstraintCodec<S, unknown>
  readonly upcasts: ReadonlyArray<{
    readonly from: Schema.ConstraintCodec<unknown, unknown>
    readonly up: (old: never) => unknown
  }>
  /** Declares the next shape. `up` is applied when a state of the shape before is loaded; it is stored in the new shape with its next change. */
  next<T>(schema: Schema.ConstraintCodec<T, unknown>, up: (old: S) => T): State<T>
}

/** Declares the first shape of a state. An actor whose state has never changed takes the schema itself. */
export const make = <S>(schema: Schema.ConstraintCodec<S, unknown>): State<S> => versions(schema, [])

/** A bare schema is the first shape. */
export const of = <S>(state: Schema.ConstraintCodec<S, unknown> | State<S>): State<S> =>
  "upcasts" in state ? state : make(state)

const versions = <S>(schema: Schema.ConstraintCodec<S, unknown>, upcasts: State<S>["upcasts"]): State<S> => ({
  version: upcasts.length + 1,
  schema,
  upcasts,
  next: (next, up) => versions(next, [...upcasts, { from: schema, up }])
})

/** A state as the database keeps it. */
export interface StateWire {
  readonly version: number
  encode(state: unknown): Encoded
  /** Decodes a state stored in the shape `version` and brings it up to the newest, or says why not. */
  decode(text: string, version: number): Decoded
}

export const wire = (state: State<any>): StateWire => {
  const newest = Json.make(state.schema as Contract.Codec)
  const older = state.upcasts.map(({ from }) => Json.make(from as Contract.Codec))
  return {
    version: state.version,
    encode: newest.encode,
    decode: (text, version) => {
      if (version === state.version) return newest.decode(text)
      const from = older[version - 1]
      if (from === undefined) return { ok: false, why: `its shape ${version} is newer than ${state.version}, the newest here` }
      const old = from.decode(text)
      if (!old.ok) return old
      let value: unknown = old.value
      for (const { up } of state.upcasts.slice(version - 1)) value = up(value as never)
      return { ok: true, value }
    }
  }
}
