import type { Incoming } from "../../src/engine/Mailbox.ts"

/** A message as a reader hands it over. */
export const incoming = (message: {
  readonly subject?: string
  readonly headers?: { readonly [name: string]: string }
  readonly data?: Uint8Array | string
  readonly time?: number
}): Incoming => {
  const { data = "", headers = {}, subject = "", time = 0 } = message
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data
  return {
    stream: "CMD_shop",
    message: { seq: 1, subject, headers: new Map(Object.entries(headers)), data: bytes, time }
  }
}
