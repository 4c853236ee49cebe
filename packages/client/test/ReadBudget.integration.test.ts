import { assert, it } from "@effect/vitest"
import { connect } from "@troupe/client/node"
import { startNats } from "./natsServer.ts"
import { ShelfService, Shop } from "./shelf.ts"

it(
  "nats-server never ends the connection of 60 subscriptions over events of 900 kB",
  { timeout: 120_000 },
  async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    const [subscriptions, count, by] = [60, 40, "x".repeat(900_000)] as const
    for (let n = 0; n < count; n++) await service.emit("taken", "a", { n, by }, { version: 2 })
    // The fault: together they want many times what the server lets wait for one connection.
    assert.isAbove(subscriptions * count * by.length, 16 * 64 * 1024 ** 2)

    await using shop = await connect({ servers: server.url })
    const heard = await Promise.all(
      Array.from({ length: subscriptions }, async () => {
        const seen: Array<number> = []
        for await (const event of shop.subscribe([Shop.Shelf.events.taken], { from: "start" })) {
          seen.push(event.payload.n)
          if (seen.length === count) break
        }
        return seen
      })
    )
    for (const seen of heard)
      assert.deepStrictEqual(
        seen,
        Array.from({ length: count }, (_, n) => n)
      )
    assert.notInclude(server.log(), "Slow Consumer")
  }
)
