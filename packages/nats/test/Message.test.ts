import type { JsMsg } from "@nats-io/jetstream"
import { headers as natsHeaders } from "@nats-io/nats-core"
import { type MsgHdrsImpl, MsgImpl } from "@nats-io/nats-core/internal"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Message } from "@troupe/nats"

const utf8 = new TextEncoder()

/** What the client makes of a message that a stream delivers. */
const delivered = (headers: Uint8Array, body: string) => {
  const data = utf8.encode(body)
  const hdr = headers.length === 0 ? -1 : headers.length
  const bytes = new Uint8Array([...headers, ...data])
  const msg = new MsgImpl({ subject: utf8.encode("x.y"), sid: 1, hdr, size: bytes.length }, bytes, null as never)
  const info = { streamSequence: 7, timestampNanos: 1_700_000_000_123 * 1_000_000 }
  return { msg, info, subject: msg.subject, data: msg.data } as unknown as JsMsg & { readonly msg: MsgImpl }
}

const name = Schema.Literals(["a", "B", "c-d", "Nats-Msg-Id"])
const value = Schema.String.check(Schema.isPattern(/^[^\r\n\0]{0,12}$/u))

describe("a message of a stream", () => {
  it.prop(
    "has the headers that the client reads, the first of each",
    [Schema.Array(Schema.Tuple([name, value])), Schema.String],
    ([pairs, body]) => {
      const headers = natsHeaders()
      for (const [name, value] of pairs) headers.append(name, value)
      const message = delivered(pairs.length === 0 ? new Uint8Array() : (headers as MsgHdrsImpl).encode(), body)
      const first = [...(message.msg.headers ?? [])].map(([name, [value]]) => [name, value] as const)
      assert.deepStrictEqual([...Message.of(message).headers], first)
      assert.deepStrictEqual(Message.of(message).data, utf8.encode(body))
    }
  )

  it("has its place and its time", () => {
    const { headers, seq, subject, time } = Message.of(delivered(new Uint8Array(), ""))
    assert.deepStrictEqual(
      { headers: headers.size, seq, subject, time },
      { headers: 0, seq: 7, subject: "x.y", time: 1_700_000_000_123 }
    )
  })
})
