import { assert, describe, it } from "@effect/vitest"
import { jetstreamManager } from "@nats-io/jetstream"
import { headers } from "@nats-io/nats-core"
import { type ClientError, connect } from "@troupe/client/node"
import { startNats } from "./natsServer.ts"
import { ShelfService, Shop } from "./shelf.ts"

const shelf = (n: number) => Shop.Shelf.at(`k${n}`)
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

/** A client that merges, and what the stream of commands is made to take. */
const world = async (config: object = {}) => {
  const server = await startNats()
  const service = await ShelfService.start(server.url)
  const { streams } = await jetstreamManager(service.nc)
  await streams.update("CMD_shop", { allow_atomic: true, ...config } as never)
  const shop = await connect({ servers: server.url, merge: true })
  /** How many commands of the stream came in a batch. */
  const batched = async () => {
    const { state } = await streams.info("CMD_shop")
    const found = numbers(state.messages).map(async (n) => await streams.getMessage("CMD_shop", { seq: n + 1 }))
    return (await Promise.all(found)).filter((message) => message?.header.has("Nats-Batch-Id")).length
  }
  return {
    server,
    service,
    shop,
    streams,
    batched,
    [Symbol.asyncDispose]: async () => {
      await shop[Symbol.asyncDispose]()
      await service[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    }
  }
}

describe("a client that merges", () => {
  it("sends what is sent at once in one batch, each message once and in order", async () => {
    await using it = await world()
    await Promise.all(numbers(1_500).map((n) => it.shop.send(shelf(n % 7).take({ n }))))
    while (it.service.got.length < 1_500) await new Promise(setImmediate)
    const got = it.service.got.map(({ body }) => (JSON.parse(body) as { n: number }).n)
    assert.deepStrictEqual(got, numbers(1_500))
    assert.isAbove(await it.batched(), 1_000)
  })

  it("asks in batches, too", async () => {
    await using it = await world()
    const answers = await Promise.all(numbers(50).map((n) => it.shop.ask(shelf(n).take({ n }))))
    assert.deepStrictEqual(
      answers.map(({ left }) => left),
      numbers(50).map(() => 1)
    )
    assert.isAbove(await it.batched(), 20)
  })

  it("sends one by one what is refused together: an id that the stream has, a message too large", async () => {
    await using it = await world({ max_msg_size: 5_000 })
    await it.shop.send(shelf(0).take({ n: 0 }), { id: "old" })
    const sent = await Promise.allSettled([
      it.shop.send(shelf(1).take({ n: 1 })),
      it.shop.send(shelf(0).take({ n: 0 }), { id: "old" }),
      it.shop.send(shelf(2).take({ n: 2, note: "x".repeat(10_000) })),
      it.shop.send(shelf(3).take({ n: 3 }))
    ])
    const reasons = sent.map((one) => (one.status === "rejected" ? (one.reason as ClientError).reason : undefined))
    assert.deepStrictEqual(
      reasons.map((reason) => (reason?._tag === "Rejected" ? reason.code : reason?._tag)),
      [undefined, undefined, "TRP0207", undefined]
    )
    assert.strictEqual((await it.streams.info("CMD_shop")).state.messages, 3)
  })

  it("sends one by one what came with a command that its user may not send", async () => {
    await using server = await startNats(`authorization { users: [
      { user: shop, password: s },
      { user: web, password: w, permissions: { publish: { deny: ["cmd.shop.Shelf.clear.>"] } } }
    ] }`)
    await using service = await ShelfService.start(server.url, {}, { user: "shop", pass: "s" })
    const { streams } = await jetstreamManager(service.nc)
    await streams.update("CMD_shop", { allow_atomic: true } as never)
    await using shop = await connect({ servers: server.url, user: "web", pass: "w", merge: true })
    // Without the last one of a batch the server never answers it.
    for (const commands of [
      [shelf(0).take({ n: 0 }), shelf(1).clear()],
      [shelf(2).clear(), shelf(3).take({ n: 1 })]
    ]) {
      const sent = await Promise.allSettled(commands.map((command) => shop.send(command, { timeout: "1500 millis" })))
      assert.deepStrictEqual(
        sent.map((one) => (one.status === "rejected" ? (one.reason as ClientError).reason._tag : undefined)),
        commands.map(({ to }) => (to.endsWith("clear") ? "NotAllowed" : undefined))
      )
    }
    assert.strictEqual((await streams.info("CMD_shop")).state.messages, 2)
  })

  it("sends one by one to a stream that takes no batches", async () => {
    await using it = await world({ allow_atomic: false })
    for (const round of [0, 1]) await Promise.all(numbers(20).map((n) => it.shop.send(shelf(n).take({ n: round }))))
    assert.strictEqual((await it.streams.info("CMD_shop")).state.messages, 40)
    assert.strictEqual(await it.batched(), 0)
  })

  it("sends one by one while others hold all batches that the server allows", async () => {
    await using it = await world()
    for (const n of numbers(50)) {
      const open = headers()
      open.set("Nats-Batch-Id", `open-${n}`)
      open.set("Nats-Batch-Sequence", "1")
      it.service.nc.publish("cmd.shop.Shelf.take.open", "", { headers: open })
    }
    await it.service.nc.flush()
    for (const round of [0, 1]) await Promise.all(numbers(20).map((n) => it.shop.send(shelf(n).take({ n: round }))))
    assert.strictEqual((await it.streams.info("CMD_shop")).state.messages, 40)
    assert.strictEqual(await it.batched(), 0, "every batch was refused")
  })

  it("loses and repeats nothing when the server is killed under way", async () => {
    await using it = await world()
    const sent = numbers(2_000).map((n) => it.shop.send(shelf(n).take({ n }), { timeout: "20 seconds" }))
    await sent[0]
    await it.server.kill()
    await it.server.start()
    await Promise.all(sent)
    while (new Set(it.service.got.map(({ body }) => body)).size < 2_000) await new Promise(setImmediate)
    const { messages } = (await it.streams.info("CMD_shop")).state
    assert.strictEqual(messages, 2_000)
  })
})
