import { type Contract, Json } from "@troupe/contract"
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

/** What the engine needs of a state, of any type. */
export interface AnyState extends Omit<State<unknown>, "next"> {}

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

/** A state as the database keeps it. Neither way throws, whatever schemas and upcasts do. */
export interface StateWire extends Json.Versioned {}

export const wire = (state: AnyState): StateWire =>
  Json.versioned(
    "shape",
    state.schema as Contract.Codec,
    state.upcasts.map(({ from, up }) => ({ from: from as Contract.Codec, up }))
  )
