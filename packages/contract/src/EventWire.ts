import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { AnyEventType } from "./Contract.ts"
import type { Decoded, Encoded } from "./Message.ts"
import { type Codec, make as wire } from "./Wire.ts"

/** An event on the wire: written in its newest version, read in any. */
export interface EventWire {
  readonly version: number
  encode(payload: unknown): Encoded
  /** Decodes a payload of `version` and brings it up to the newest, or says why not. */
  decode(text: string, version: number): Decoded
}

export const make = (event: AnyEventType): EventWire => {
  const newest = wire(Schema.Struct(event.payload))
  const older = event.upcasts.map((upcast) => wire(Schema.Struct(upcast.from) as unknown as Codec))
  return {
    version: event.version,
    encode: newest.encode,
    decode: (text, version) => {
      if (version === event.version) return newest.decode(text)
      const from = older[version - 1]
      if (from === undefined)
        return { ok: false, why: `there is no version ${version} here: the newest is ${event.version}` }
      const old = from.decode(text)
      if (!old.ok) return old
      const raised = Result.try(() =>
        event.upcasts.slice(version - 1).reduce((value, { up }) => up(value as never), old.value)
      )
      if (Result.isFailure(raised))
        return { ok: false, why: `the upcast of version ${version} failed: ${raised.failure}` }
      // Through the newest schema once more: an upcast may return plain objects, and what it returns is checked like anything read.
      const now = newest.encode(raised.success)
      return now.ok ? { ok: true, value: now.value } : now
    }
  }
}
