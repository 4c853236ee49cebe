import { assert, describe, it } from "@effect/vitest"
import { Envelope } from "@troupe/contract"
import * as Consumer from "../../src/engine/Consumer.ts"
import * as Delivery from "../../src/engine/Delivery.ts"
import * as Id from "../../src/engine/id.ts"
import type { Incoming } from "../../src/engine/Mailbox.ts"
import { bookkeeper, Shop, tills } from "../till.ts"
import { incoming } from "./incoming.ts"

const till = Consumer.ofActor(Shop, tills.plain, 1)
const books = Consumer.ofSubscriber(Shop, bookkeeper, 2)

const id = "01900000-0000-7000-8000-000000000000"
const replyTo = "_INBOX.abc.1"
const time = "2026-01-01T00:00:00.000Z"

interface Changes extends Partial<Envelope.Envelope> {
  readonly subject?: string
  readonly body?: Uint8Array | string
  readonly raw?: { readonly [name: string]: string }
}
const command = ({ body = '{"cents":5}', raw = {}, subject = "cmd.shop.3.Till.pay.t-1", ...changes }: Changes = {}) =>
  incoming({
    subject,
    headers: { ...Envelope.toHeaders({ id, type: "shop.Till.pay", source: "test", ...changes }), ...raw },
    data: body,
    time: 7
  })
const event = (changes: Changes = {}) =>
  command({ subject: "evt.shop.3.Till.paid.t-1", type: "shop.Till.paid", version: 2, body: paid, ...changes })
const paid = '{"cents":5,"currency":"EUR"}'

const opened = (found: ReturnType<typeof Delivery.open>): Delivery.Delivery =>
  found === undefined || "code" in found ? assert.fail(found?.why ?? "not listened to") : found
const refused = (found: ReturnType<typeof Delivery.open>): Delivery.Refusal =>
  found !== undefined && "code" in found ? found : assert.fail("it was opened")

describe("a message for an actor", () => {
  it("is opened with its payload decoded", () => {
    const message = command({ key: "t-1", replyTo, time })
    const { envelope, ...delivery } = opened(Delivery.open(till, message))
    assert.strictEqual(envelope.source, "test")
    assert.deepStrictEqual(delivery, {
      incoming: message,
      id,
      type: "shop.Till.pay",
      name: "pay",
      key: "t-1",
      token: "t-1",
      payload: { cents: 5 },
      now: Date.UTC(2026, 0, 1),
      hash: Id.ofRequest("shop.Till.pay", "t-1", '{"cents":5}'),
      replyTo
    })
  })

  it("has the stream's time when its sender said none, or none that is a time", () => {
    assert.strictEqual(opened(Delivery.open(till, command())).now, 7)
    assert.strictEqual(opened(Delivery.open(till, command({ time: "yesterday" }))).now, 7)
  })

  it("has the key of its subject, decoded", () => {
    const { key, token } = opened(Delivery.open(till, command({ subject: "cmd.shop.3.Till.pay.a%2Eb%C3%A9" })))
    assert.deepStrictEqual({ key, token }, { key: "a.bé", token: "a%2Eb%C3%A9" })
  })

  it("has no reply address that could be somebody's subject", () => {
    for (const address of ["orders.Order", "_INBOX.>", "_INBOX.a", "_INBOX.a.*"])
      assert.isUndefined(opened(Delivery.open(till, command({ replyTo: address }))).replyTo)
  })

  it("has an id that the inbox can keep", () => {
    assert.strictEqual(opened(Delivery.open(till, command({ id: "pay-1" }))).id, Id.ofMessage("pay-1"))
  })
})

describe("a message for a subscriber", () => {
  it("is opened in its newest version, and has no hash", () => {
    const { hash, payload, type } = opened(Delivery.open(books, event()))
    assert.deepStrictEqual({ hash, type }, { hash: null, type: "shop.Till.paid" })
    for (const old of [{ version: 1 }, { version: undefined }])
      assert.deepStrictEqual(opened(Delivery.open(books, event({ ...old, body: '{"cents":5}' }))).payload, payload)
  })

  it("is nothing to it when it does not listen to it, whatever is in it", () => {
    const closed = { subject: "evt.shop.3.Till.closed.t-1", type: "shop.Till.closed" }
    assert.isUndefined(Delivery.open(books, event(closed)))
    assert.isUndefined(Delivery.open(books, event({ ...closed, body: new Uint8Array([0xff]) })))
  })
})

describe("a message is refused", () => {
  const zeros = (count: number) => JSON.stringify({ cents: 5, more: Array.from({ length: count }, () => 0) })
  const cases: ReadonlyArray<readonly [code: string, why: string, Incoming, Consumer.Consumer]> = [
    ["TRP0201", "Expected", command({ body: '{"cents":"5"}' }), till],
    ["TRP0201", "JSON", command({ body: "{" }), till],
    ["TRP0201", "JSON", command({ body: "" }), till],
    ["TRP0201", "JSON", command({ body: '\ufeff{"cents":5}' }), till],
    ["TRP0201", "it is not UTF-8", command({ body: new Uint8Array([0x22, 0xff, 0x22]) }), till],
    ["TRP0201", "it has more than 50000 values", command({ body: zeros(50_000) }), till],
    ["TRP0201", "it is nested deeper than 100", command({ body: "[".repeat(101) }), till],
    ["TRP0209", "it has more than 50000 values", event({ body: zeros(50_000) }), books],
    ["TRP0209", "it is nested deeper than 100", event({ body: "[".repeat(101) }), books],
    ["TRP0202", "has no refund", command({ subject: "cmd.shop.3.Till.refund.t-1", type: "shop.Till.refund" }), till],
    ["TRP0202", "contract is 9", command({ subject: "cmd.shop.3.Till.x.t-1", type: "shop.Till.x", contract: 9 }), till],
    ["TRP0203", "ce-id is missing", incoming({ subject: "cmd.shop.3.Till.pay.t-1" }), till],
    ["TRP0203", "ce-id is missing", incoming({ subject: "cmd.shop.3.Till.pay.t-1", headers: {} }), till],
    ["TRP0203", "ce-type is missing", command({ type: "" }), till],
    ["TRP0203", "no whole number", command({ raw: { "Troupe-Deadline-Ms": "soon" } }), till],
    ["TRP0203", "it carries Nats-Stream", command({ raw: { "Nats-Stream": "CMD_other" } }), till],
    ["TRP0204", "of the subject cmd.shop.3.Till.pay.%41", command({ subject: "cmd.shop.3.Till.pay.%41" }), till],
    ["TRP0204", "of the subject cmd.shop.pay", command({ subject: "cmd.shop.pay" }), till],
    ["TRP0205", "ce-type is shop.Till.close", command({ type: "shop.Till.close" }), till],
    ["TRP0205", "ce-subject is t-2", command({ key: "t-2" }), till],
    ["TRP0209", "Expected", event({ body: '{"cents":"5","currency":"EUR"}' }), books],
    ["TRP0209", "there is no version 3", event({ version: 3 }), books],
    ["TRP0205", "ce-type is shop.Till.closed", event({ type: "shop.Till.closed" }), books]
  ]
  it.each(cases)("%s: %s", (code, why, message, consumer) => {
    const refusal = refused(Delivery.open(consumer, message))
    assert.strictEqual(refusal.code, code)
    assert.include(refusal.why, why)
    assert.strictEqual(refusal.incoming, message)
    assert.isUndefined(refusal.caller)
  })

  it("but for what newer code knows, which waits for that", () => {
    const later = { subject: "cmd.shop.3.Till.x.t-1", type: "shop.Till.x" }
    for (const [message, consumer] of [
      [command({ ...later, contract: 9 }), till],
      [event({ version: 3 }), books]
    ] as const)
      assert.isTrue(refused(Delivery.open(consumer, message)).newer)
    for (const [message, consumer] of [
      [command({ ...later, contract: 1 }), till],
      [event({ version: 0 }), books],
      [event({ version: 2, body: "{}" }), books]
    ] as const)
      assert.isUndefined(refused(Delivery.open(consumer, message)).newer)
  })

  it("but for one that waited in Postgres, however many values it has: it was taken before there was a bound", () => {
    const message = command({ body: zeros(50_000) })
    const parked = { ...message, waited: { kind: "parked", key: "t-1", n: 1, attempts: 1 } } as const
    assert.deepStrictEqual(opened(Delivery.open(till, parked)).payload, { cents: 5 })
  })

  it("and its caller is told, when that can be done", () => {
    const wrong = { body: "{", replyTo }
    const caller = { id, type: "shop.Till.pay", replyTo }
    assert.deepStrictEqual(refused(Delivery.open(till, command(wrong))).caller, caller)
    assert.deepStrictEqual(refused(Delivery.open(till, command({ ...wrong, subject: "cmd.shop" }))).caller, caller)
    assert.isUndefined(refused(Delivery.open(till, command({ ...wrong, replyTo: "orders.Order" }))).caller)
    assert.isUndefined(refused(Delivery.open(till, command({ replyTo, raw: { "Nats-Subject": "x" } }))).caller)
  })

  it("with a reason of bounded length, whatever came", () => {
    const long = "x".repeat(900)
    for (const message of [
      command({ subject: `cmd.shop.3.Till.pay.${"x".repeat(5_000)}` }),
      command({ type: long }),
      command({ key: long }),
      command({ body: JSON.stringify({ cents: "x".repeat(5_000) }) })
    ])
      assert.isAtMost(refused(Delivery.open(till, message)).why.length, 1_000)
  })
})
