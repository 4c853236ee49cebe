import { headers as natsHeaders, type Msg } from "@nats-io/nats-core"
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
  return { msg: msg as unknown as Msg, info: Message.infoOf("$JS.ACK.S.c.1.7.3.1700000000123000000.5")! }
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
      const { info, msg } = delivered(pairs.length === 0 ? new Uint8Array() : (headers as MsgHdrsImpl).encode(), body)
      const first = [...(msg.headers ?? [])].map(([name, [value]]) => [name, value] as const)
      assert.deepStrictEqual([...Message.of(msg, info).headers], first)
      assert.deepStrictEqual(Message.of(msg, info).data, utf8.encode(body))
    }
  )

  it("has its place and its time", () => {
    const { info, msg } = delivered(new Uint8Array(), "")
    const { headers, seq, subject, time } = Message.of(msg, info)
    assert.deepStrictEqual(
      { headers: headers.size, seq, subject, time },
      { headers: 0, seq: 7, subject: "x.y", time: 1_700_000_000_123 }
    )
  })

  it("has its place also across accounts, and none when it is no message of a stream", () => {
    const info = { seq: 7, delivered: 3, time: 1_700_000_000_123, pending: 5 }
    assert.deepStrictEqual(Message.infoOf("$JS.ACK.S.c.1.7.3.1700000000123000000.5"), info)
    assert.deepStrictEqual(Message.infoOf("$JS.ACK.hub.A1B2.S.c.1.7.3.1700000000123000000.5.x9"), info)
    assert.isUndefined(Message.infoOf("_INBOX.a.b"))
  })
})
