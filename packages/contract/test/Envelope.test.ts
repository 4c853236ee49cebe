import { assert, describe, it } from "@effect/vitest"
import { Envelope } from "@troupe/contract"
import * as Schema from "effect/Schema"

const Text = Schema.NonEmptyString.check(Schema.isMaxLength(80))
const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
const Full = Schema.Struct({
  id: Text,
  type: Text,
  source: Text,
  key: Schema.optionalKey(Text),
  time: Schema.optionalKey(Text),
  version: Schema.optionalKey(Count),
  contract: Schema.optionalKey(Count),
  correlationId: Schema.optionalKey(Text),
  causationId: Schema.optionalKey(Text),
  traceparent: Schema.optionalKey(Text),
  replyTo: Schema.optionalKey(Text),
  deadlineMs: Schema.optionalKey(Count),
  position: Schema.optionalKey(Count)
})
const read = (headers: Envelope.Headers) => Envelope.fromHeaders((name) => headers[name])
const why = (headers: Envelope.Headers): string => {
  const envelope = read(headers)
  return "why" in envelope ? envelope.why : ""
}
const least = { "ce-id": "1", "ce-type": "orders.Order.place", "ce-source": "web" }

describe("an envelope", () => {
  it.prop("comes back from its headers", [Full], ([envelope]) => {
    const headers = Envelope.toHeaders(envelope)
    for (const [name, value] of Object.entries(headers)) assert.match(value, /^[!-~]*$/, `${name} is printable ASCII`)
    const known = Object.fromEntries(
      Object.entries(envelope).map(([name, value]) => [name, typeof value === "string" ? value.toWellFormed() : value])
    )
    assert.deepStrictEqual(read(headers) as object, known)
  })

  it("percent-encodes as CloudEvents say", () => {
    const headers = Envelope.toHeaders({ id: "1", type: "t", source: 's "x" 100%', key: "café\r\nNats-Stream: x" })
    assert.strictEqual(headers["ce-source"], "s%20%22x%22%20100%25")
    assert.strictEqual(headers["ce-subject"], "caf%C3%A9%0D%0ANats-Stream:%20x")
    assert.strictEqual(headers["ce-specversion"], "1.0")
    assert.isUndefined(headers["ce-time"])
  })

  it("needs an id, a type and a source, and nothing else", () => {
    assert.deepStrictEqual(read(least) as object, { id: "1", type: "orders.Order.place", source: "web" })
    for (const name of Object.keys(least)) assert.strictEqual(why({ ...least, [name]: "" }), `${name} is missing`)
    assert.strictEqual(why({}), "ce-id is missing")
  })

  it("is refused when the broker made the message", () => {
    for (const name of ["Nats-Scheduler", "Nats-Stream", "Nats-Subject"])
      assert.include(why({ ...least, [name]: "x" }), name)
  })

  it("is refused when a number is none", () => {
    for (const name of ["ce-dataversion", "Troupe-Contract", "Troupe-Deadline-Ms", "Troupe-Lane-Position"]) {
      for (const text of ["x", "-1", "1.5", "1e3", "0x10", " 1", "9007199254740993", "NaN", "Infinity"]) {
        assert.include(why({ ...least, [name]: text }), `${name} is no whole number`, text)
      }
      assert.strictEqual(why({ ...least, [name]: "9007199254740991" }), "")
    }
    assert.isAtMost(why({ ...least, "Troupe-Contract": "9".repeat(5_000) }).length, 100)
  })

  it("is refused when a text is not percent-encoded UTF-8", () => {
    for (const text of ["%", "%zz", "%C3", "%ED%A0%80"])
      assert.include(why({ ...least, "ce-subject": text }), "ce-subject")
  })

  it("lets replies go to an inbox only", () => {
    for (const subject of ["_INBOX.a.b", "_INBOX.orders.a.b"]) assert.isTrue(Envelope.isReplyTo(subject))
    const elsewhere = [
      "_INBOX.a",
      "_INBOX.a.b.c.d",
      "_INBOX.a.*",
      "_INBOX.>",
      "_INBOX..a",
      "_INBOX.a.",
      "cmd.orders.Order.place.o",
      "x_INBOX.a.b",
      "_INBOX.a.b\r\nPUB",
      "_INBOX.a. b",
      `_INBOX.a.${"b".repeat(300)}`,
      ""
    ]
    for (const subject of elsewhere) assert.isFalse(Envelope.isReplyTo(subject), subject)
  })
})

describe("a traceparent", () => {
  const hex = (digits: number) => Schema.String.check(Schema.isPattern(new RegExp(`^[0-9a-f]{${digits}}$`)))

  it.prop("is read as it was written", [hex(32), hex(16), Schema.Boolean], ([traceId, spanId, sampled]) => {
    const none = /^0+$/.test(traceId) || /^0+$/.test(spanId)
    const span = { traceId, spanId, sampled }
    assert.deepStrictEqual(Envelope.readTraceparent(Envelope.traceparent(span)), none ? undefined : span)
  })

  it.each([
    ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true],
    ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", false],
    ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", true],
    ["cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes", true],
    ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", undefined],
    ["ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", undefined],
    ["00-00000000000000000000000000000000-b7ad6b7169203331-01", undefined],
    ["00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", undefined],
    ["00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", undefined],
    ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", undefined],
    ["", undefined],
    [undefined, undefined]
  ])("%s is sampled: %s", (text, sampled) => {
    assert.strictEqual(Envelope.readTraceparent(text)?.sampled, sampled)
  })
})
