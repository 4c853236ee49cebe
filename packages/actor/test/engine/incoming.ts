import type { JsMsg } from "@nats-io/jetstream"
import { headers } from "@nats-io/nats-core"
import type { Incoming } from "../../src/engine/Mailbox.ts"

/** A message as it comes from a stream, with the headers of nats-core and nothing else of NATS. */
export const incoming = (message: {
  readonly subject?: string
  readonly headers?: { readonly [name: string]: string }
  readonly data?: Uint8Array | string
  readonly time?: number
}): Incoming => {
  const hdrs = headers()
  for (const [name, value] of Object.entries(message.headers ?? {})) hdrs.set(name, value)
  const data = message.data ?? ""
  const fake: Pick<JsMsg, "subject" | "headers" | "data" | "time"> = {
    subject: message.subject ?? "",
    // A message without headers has none, whatever its type says.
    headers: message.headers === undefined ? (undefined as never) : hdrs,
    data: typeof data === "string" ? new TextEncoder().encode(data) : data,
    time: new Date(message.time ?? 0)
  }
  return { stream: "CMD_shop", message: fake as JsMsg }
}
