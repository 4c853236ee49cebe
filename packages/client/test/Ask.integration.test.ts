import { jetstreamManager } from "@nats-io/jetstream"
import { assert, describe, it } from "@effect/vitest"
import { ask, ClientError, connect, layer } from "@troupe/client/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { reasonOf, startNats } from "./natsServer.ts"
import { Left, ShelfService, Shop, SoldOut } from "./shelf.ts"

const tea = Shop.Shelf.at("tea/grün")
const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe("an ask", () => {
  it("is answered with what the command declares", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    await using shop = await connect({ servers: server.url, name: "web" })
    const left = await shop.ask(tea.take({ n: 2 }), { timeout: "4 seconds" })
    assert.deepStrictEqual(left, new Left({ left: 1 }))
    const got = service.got[0]!
    assert.strictEqual(got.body, '{"n":2}')
    assert.match(got.subject, /^cmd\.shop\.\d+\.Shelf\.take\.tea\/gr%C3%BCn$/)
    assert.match(got.envelope.id, uuidV7)
    assert.strictEqual(got.msgId, got.envelope.id)
    assert.match(got.envelope.traceparent ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
    const { contract, deadlineMs = 0, key, source, type } = got.envelope
    assert.deepStrictEqual(
      { contract, key, source, type },
      { contract: 3, key: "tea/grün", source: "web", type: "shop.Shelf.take" }
    )
    assert.isTrue(deadlineMs > 3_000 && deadlineMs <= 4_000, String(deadlineMs))
    assert.strictEqual(service.got.length, 1)
  })

  it("without a reply is answered with nothing", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    service.answer = () => ({ outcome: "reply", body: "" })
    await using shop = await connect({ servers: server.url })
    assert.isUndefined(await shop.ask(tea.clear()))
  })

  it("fails with the errors that the command declares", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    service.answer = () => ({ outcome: "error", body: '{"_tag":"SoldOut","left":1}' })
    await using shop = await connect({ servers: server.url })
    const answer = await shop.tryAsk(tea.take({ n: 2 }))
    assert.isTrue(!answer.ok && answer.error instanceof SoldOut && answer.error.left === 1)
    const error = await shop.ask(tea.take({ n: 2 })).catch((error: unknown) => error)
    assert.instanceOf(error, SoldOut)
  })

  it("says why it was not handled, or that its answer cannot be read", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    await using shop = await connect({ servers: server.url })
    const answers = [
      ["rejected", '{"code":"TRP0301","detail":"it threw"}', "TRP0301", "it threw"],
      ["rejected", "so sorry", "TRP0208", "so sorry"],
      ["reply", '{"left":"x"}', "TRP0208", 'Expected number\n  at ["left"]'],
      ["error", '{"_tag":"Other"}', "TRP0208", undefined]
    ] as const
    for (const [outcome, body, code, detail] of answers) {
      service.answer = () => ({ outcome, body })
      const reason = await reasonOf(shop.ask(tea.take({ n: 2 })))
      assert.isTrue(
        reason._tag === "Rejected" && reason.code === code && (detail === undefined || reason.detail === detail),
        String(reason)
      )
    }
  })

  it("whose id was handled before is answered again, not handled again", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    let handled = 0
    service.answer = () => ({ outcome: "reply", body: `{"left":${++handled}}` })
    await using shop = await connect({ servers: server.url })
    await using other = await connect({ servers: server.url })
    for (const client of [shop, shop, other]) {
      assert.strictEqual((await client.ask(tea.take({ n: 1 }), { id: "same id ü" })).left, 1)
    }
    const [first, ...again] = service.got.map(({ msgId }) => msgId)
    assert.strictEqual(first, "same%20id%20%C3%BC")
    for (const msgId of again) assert.match(msgId, /^same%20id%20%C3%BC\.\w{22}$/)
    assert.strictEqual(new Set(again).size, 2)
    assert.isTrue(service.got.every(({ envelope }) => envelope.id === "same id ü"))
  })

  it("is published again while there is no answer, and takes the first answer that is its own", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    service.answer = ({ envelope }) => {
      if (service.got.length > 1) return { outcome: "reply", body: '{"left":7}' }
      // To the right place, but for another question.
      service.reply(envelope.replyTo!, { ...envelope, id: "another" }, { outcome: "reply", body: '{"left":0}' })
      return undefined
    }
    await using shop = await connect({ servers: server.url })
    assert.strictEqual((await shop.ask(tea.take({ n: 1 }))).left, 7)
    assert.strictEqual(service.got.length, 2)
    assert.strictEqual(service.got[1]!.msgId.slice(0, 37), `${service.got[0]!.envelope.id}.`)
    assert.isBelow(service.got[1]!.envelope.deadlineMs!, service.got[0]!.envelope.deadlineMs!)
  })

  it("times out when nobody answers", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    service.answer = () => undefined
    await using shop = await connect({ servers: server.url })
    const error = await shop.ask(tea.take({ n: 1 }), { timeout: "300 millis" }).catch((error: unknown) => error)
    assert.instanceOf(error, ClientError)
    assert.isTrue(error.retryable)
    assert.match(error.message, /^TRP0210 no answer in time · shop\.Shelf\.take · after 300ms · /)
  })

  it("is refused before it is sent when it cannot arrive", async () => {
    await using server = await startNats("max_payload: 4096")
    await using service = await ShelfService.start(server.url)
    await using shop = await connect({ servers: server.url })
    const long = "k".repeat(201)
    assert.deepInclude(await reasonOf(shop.ask(Shop.Shelf.at(long).take({ n: 1 }))), { _tag: "BadKey", key: long })
    assert.deepInclude(await reasonOf(shop.ask(tea.take({ n: 1 }), { id: "" })), { _tag: "Rejected", code: "TRP0203" })
    const wrong = { n: 1.5 } as { n: number }
    assert.deepInclude(await reasonOf(shop.ask(tea.take(wrong))), { _tag: "Rejected", code: "TRP0201" })
    const note = (length: number) => tea.take({ n: 1, note: "x".repeat(length) })
    const large = await reasonOf(shop.ask(note(5_000)))
    assert.isTrue(large._tag === "TooLarge" && large.limit === 4096 && large.bytes > 5_000, String(large))
    assert.strictEqual(service.got.length, 0)
    // To the byte: what is not refused, the server takes.
    let fits = 3_000
    for (let step = 512; step >= 1; step /= 2) if ((await shop.tryAsk(note(fits + step))).ok) fits += step
    assert.isAbove(fits, 3_100)
    assert.isTrue((await shop.tryAsk(note(fits))).ok)
  })

  it("fails when the stream is full, and not when it was full for its repetition", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url, { max_msgs: 1 })
    service.answer = () => undefined
    await using shop = await connect({ servers: server.url })
    const first = reasonOf(shop.ask(tea.take({ n: 1 }), { timeout: "1500 millis" }))
    while (service.got.length === 0) await new Promise(setImmediate)
    const error = await shop.ask(tea.take({ n: 1 })).catch((error: unknown) => error)
    assert.instanceOf(error, ClientError)
    assert.deepInclude(error.reason, { _tag: "StreamFull", stream: "CMD_shop" })
    assert.isTrue(error.retryable)
    assert.strictEqual((await first)._tag, "TimedOut")
  })

  it("waits for room when it is told to, within its time", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url, { max_msgs: 1 })
    await using shop = await connect({ servers: server.url })
    await shop.send(tea.take({ n: 1 }))
    const wait = { whenFull: "wait", timeout: "15 seconds" } as const
    assert.deepInclude(await reasonOf(shop.send(tea.take({ n: 2 }), { ...wait, timeout: "200 millis" })), {
      _tag: "StreamFull",
      stream: "CMD_shop"
    })
    const left = shop.ask(tea.take({ n: 3 }), wait)
    const sent = shop.send(tea.take({ n: 4 }), wait)
    const jsm = await jetstreamManager(service.nc)
    // The service catches up: what it has handled makes room.
    const both = Promise.all([left, sent])
    const later = () => new Promise((resolve) => setImmediate(resolve, "later"))
    while ((await Promise.race([both, later()])) === "later")
      await jsm.streams.purge("CMD_shop", { seq: service.got.length + 1 })
    while (service.got.length < 3) await later()
    assert.sameMembers(
      service.got.map(({ body }) => body),
      ['{"n":1}', '{"n":3}', '{"n":4}']
    )
  })

  it("fails when it is larger than the stream takes", async () => {
    await using server = await startNats()
    await using _service = await ShelfService.start(server.url, { max_msg_size: 1_000 })
    await using shop = await connect({ servers: server.url })
    const reason = await reasonOf(shop.ask(tea.take({ n: 1, note: "x".repeat(1_000) })))
    assert.deepInclude(reason, {
      _tag: "Rejected",
      code: "TRP0207",
      detail: "CMD_shop: message size exceeds maximum allowed"
    })
  })

  it("waits for a service that is not there yet, and says so when its time is over", async () => {
    await using server = await startNats()
    await using shop = await connect({ servers: server.url })
    assert.deepInclude(await reasonOf(shop.ask(tea.take({ n: 1 }), { timeout: "100 millis" })), {
      _tag: "NotConnected",
      detail: "no stream takes cmd.shop.*.*.*: is the service deployed?"
    })
    const early = shop.ask(tea.take({ n: 1 }))
    await using _service = await ShelfService.start(server.url)
    assert.strictEqual((await early).left, 1)
  })

  it("is answered although the server was killed under way", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    let gone: Promise<void> | undefined
    service.answer = () => {
      if (gone !== undefined) return { outcome: "reply", body: '{"left":3}' }
      gone = server.kill().then(() => server.start())
      return undefined
    }
    await using shop = await connect({ servers: server.url })
    assert.strictEqual((await shop.ask(tea.take({ n: 1 }), { timeout: "15 seconds" })).left, 3)
    await gone
    // And those asked while there is none, or whose time is over before it is back.
    await server.kill()
    while ((await reasonOf(shop.ask(tea.take({ n: 1 }), { timeout: "20 millis" })))._tag !== "NotConnected");
    const later = shop.ask(tea.take({ n: 1 }), { timeout: "15 seconds" })
    await server.start()
    assert.strictEqual((await later).left, 3)
  })

  it("waits for its place when too many are under way", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    service.answer = ({ body }) => (body.includes("9") ? undefined : { outcome: "reply", body: '{"left":1}' })
    await using shop = await connect({ servers: server.url, maxInFlight: 1 })
    const first = reasonOf(shop.ask(tea.take({ n: 9 }), { timeout: "400 millis" }))
    const waits = reasonOf(shop.ask(tea.take({ n: 1 }), { timeout: "100 millis" }))
    const third = shop.ask(tea.take({ n: 2 }))
    assert.deepInclude(await waits, { _tag: "TooManyUnderWay", limit: 1 })
    assert.strictEqual((await first)._tag, "TimedOut")
    assert.strictEqual((await third).left, 1)
    assert.isFalse(service.got.some(({ body }) => body === '{"n":1}'))
  })

  it.live("can be interrupted, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireDisposable(Effect.promise(() => startNats()))
      const service = yield* Effect.acquireDisposable(Effect.promise(() => ShelfService.start(server.url)))
      service.answer = ({ body }) => (body.includes("9") ? undefined : { outcome: "reply", body: '{"left":1}' })
      yield* Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(ask(tea.take({ n: 9 })))
        while (service.got.length === 0) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        assert.strictEqual((yield* ask(tea.take({ n: 1 }))).left, 1)
      }).pipe(Effect.provide(layer({ servers: server.url, maxInFlight: 1 })))
    })
  )
})
