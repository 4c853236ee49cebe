import * as Schema from "effect/Schema"
import type { AnyEventType } from "./Contract.ts"
import { type Codec, type Versioned, versioned } from "./Wire.ts"

/** An event on the wire: written in its newest version, read in any. */
export interface EventWire extends Versioned {}

/** The wire of an event, with its older versions. */
export const make = (event: AnyEventType): EventWire =>
  versioned(
    "version",
    Schema.Struct(event.payload),
    event.upcasts.map(({ from, up }) => ({ from: Schema.Struct(from) as unknown as Codec, up }))
  )
