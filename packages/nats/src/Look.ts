import type { JetStreamManager } from "@nats-io/jetstream"
import * as Position from "./Position.ts"

/** A stream as it is, and its last message if that is still there. */
export interface Look {
  readonly log: Position.Log
  readonly tip: Position.Position | undefined
}

/** How long a look waits for others that want the same one, ms. */
const gathering = 250

const gathered = new WeakMap<JetStreamManager, Map<string, Promise<Look>>>()

/** Looks at a stream, once for all readers that ask at about the same time; never before the call. */
export const at = (jsm: JetStreamManager, stream: string): Promise<Look> => {
  const looks = gathered.get(jsm) ?? new Map<string, Promise<Look>>()
  gathered.set(jsm, looks)
  const waiting = looks.get(stream)
  if (waiting !== undefined) return waiting
  const look = new Promise((resolve) => setTimeout(resolve, gathering)).then(async (): Promise<Look> => {
    looks.delete(stream)
    const log = await Position.held(jsm, stream)
    return { log, tip: await Position.stored(jsm, stream, log.last, log) }
  })
  looks.set(stream, look)
  return look
}
