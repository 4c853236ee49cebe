import { assert, describe, it } from "@effect/vitest"
import { connect } from "@troupe/client"
import { startNats } from "./natsServer.ts"
import { ShelfService, Shop } from "./shelf.ts"

// A file of its own: nats-core keeps the transport of reconnections per process, not per connection. The service here
// speaks TCP, connects first, and is not disconnected.
describe("a client over WebSocket", () => {
  it("asks, sends and subscribes as one over TCP", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    await using shop = await connect({ servers: server.wsUrl, name: "browser" })
    assert.strictEqual((await shop.ask(Shop.Shelf.at("tea").take({ n: 1 }))).left, 1)
    await shop.send(Shop.Shelf.at("tea").clear())
    while (service.got.length < 2) await new Promise(setImmediate)
    assert.strictEqual(service.got[1]?.envelope.source, "browser")
    const next = shop.subscribe(Shop.Shelf.events.taken)[Symbol.asyncIterator]().next()
    while ((await service.listeners()) === 0) await new Promise(setImmediate)
    await service.emit("taken", "tea", { n: 1 })
    assert.deepStrictEqual((await next).value?.payload, { n: 1, by: "nobody" })
  })
})
