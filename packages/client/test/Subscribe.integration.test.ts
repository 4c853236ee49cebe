import { assert, describe, it } from "@effect/vitest"
import { type Connection, connect, layer, subscribe } from "@troupe/client/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import { reasonOf, startNats } from "./natsServer.ts"
import { ShelfService, Shop } from "./shelf.ts"

const { cleared, taken } = Shop.Shelf.events

/** The next `n` events; resolves once it reads, so that what is emitted then is heard. */
const hear = async (shop: Connection, n: number) => {
  const opened = Promise.withResolvers<string>()
  const heard = (async () => {
    const seen: Array<string> = []
    for await (const event of shop.subscribe([taken, cleared], { onOpen: opened.resolve })) {
      seen.push(
        event.type === "shop.Shelf.taken"
          ? `${event.key} ${event.payload.n} ${event.payload.by}`
          : `${event.key} cleared`
      )
      if (seen.length === n) break
    }
    return seen
  })()
  await opened.promise
  return { heard }
}

describe("a subscription", () => {
  it("hears the events that it names, from now on, in their newest version and in order", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    await using shop = await connect({ servers: server.url })
    await service.emit("cleared", "before", {})
    const { heard } = await hear(shop, 4)
    await service.emit("taken", "téa", { n: 1 }, { version: 1 })
    await service.emit("taken", "téa", { n: 2, by: "me" }, { version: 2 })
    await service.emit("other", "téa", {})
    await service.emit("cleared", "téa", {})
    await service.emit("taken", "milk", { n: 3, by: "me" }, { version: 2 })
    assert.deepStrictEqual(await heard, ["téa 1 nobody", "téa 2 me", "téa cleared", "milk 3 me"])
    while ((await service.listeners()) > 1) await new Promise(setImmediate)
  })

  it.live("gives all that an event says", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireDisposable(Effect.promise(() => startNats()))
      const service = yield* Effect.acquireDisposable(Effect.promise(() => ShelfService.start(server.url)))
      const warnings: Array<unknown> = []
      const logger = Logger.make(({ message }) => void warnings.push(message))
      yield* Effect.gen(function* () {
        const fiber = yield* subscribe(taken).pipe(Stream.take(1), Stream.runCollect, Effect.forkChild)
        while ((yield* Effect.promise(() => service.listeners())) === 0) yield* Effect.yieldNow
        yield* Effect.promise(async () => {
          await service.emit("cleared", "tea", "not asked for, so not read")
          await service.emit("taken", "tea", { n: 1 }, { version: 9 })
          await service.emit("taken", "tea", { n: "x", by: "me" }, { version: 2 })
          await service.emit("taken", "tea", {}, { type: "shop.Shelf.cleared" })
          await service.emit("taken", "tea", {}, { key: "milk" })
          await service.emit(
            "taken",
            "tea",
            { n: 1, by: "me" },
            {
              version: 2,
              id: "e-1",
              time: "2026-01-02T03:04:05Z",
              position: 17,
              correlationId: "c-1",
              causationId: "i-1"
            }
          )
        })
        const [placed] = yield* Fiber.join(fiber)
        const { place, ...event } = placed!
        assert.match(place, /^shop(\.[0-9a-z]+){4}$/)
        assert.deepStrictEqual(event, {
          type: "shop.Shelf.taken",
          key: "tea",
          payload: { n: 1, by: "me" },
          id: "e-1",
          time: "2026-01-02T03:04:05Z",
          lane: "shop.Shelf",
          position: 17,
          correlationId: "c-1",
          causationId: "i-1"
        })
        // The 1st, 2nd and 4th of four.
        assert.deepStrictEqual(
          warnings.map((warning) => (warning as ReadonlyArray<unknown>)[1]),
          [{ skipped: 1 }, { skipped: 2 }, { skipped: 4 }]
        )
        assert.include(String((warnings[0] as ReadonlyArray<unknown>)[0]), "there is no version 9 here")
      }).pipe(Effect.provide([layer({ servers: server.url }), Logger.layer([logger])]))
    })
  )

  it("goes on after the server was killed, with what was emitted meanwhile and nothing from before", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    await using shop = await connect({ servers: server.url })
    await service.emit("cleared", "before", {})
    const first = await hear(shop, 2)
    await server.kill()
    await server.start()
    await service.emit("cleared", "after 1", {})
    await service.emit("cleared", "after 2", {})
    assert.deepStrictEqual(await first.heard, ["after 1 cleared", "after 2 cleared"])
  })

  it("does not read ahead of a slow reader without bound", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    await using shop = await connect({ servers: server.url })
    const events = shop.subscribe(taken)[Symbol.asyncIterator]()
    const next = events.next()
    while ((await service.listeners()) < 1) await new Promise(setImmediate)
    const all = Array.from({ length: 2_000 }, (_, n) => service.emit("taken", "tea", { n, by: "me" }, { version: 2 }))
    await Promise.all(all)
    assert.strictEqual((await next).value?.payload.n, 0)
    assert.isAtMost(await service.delivered(), 1_024)
    for (let n = 1; n < 2_000; n++) assert.strictEqual((await events.next()).value?.payload.n, n)
    await events.return?.()
  })

  it("fails when the stream is not there, or its user may not read it", async () => {
    await using server = await startNats(`authorization { users: [
      { user: service, password: s }
      { user: web, password: w, permissions: { publish: ["$JS.API.STREAM.INFO.EVT_shop", "$JS.API.CONSUMER.CREATE.EVT_shop.>"], subscribe: ["_INBOX.>"] } }
      { user: none, password: n, permissions: { publish: ["$JS.API.STREAM.INFO.EVT_shop"], subscribe: ["_INBOX.>"] } }
    ] }`)
    const first = async (login: object) => {
      await using shop = await connect({ servers: server.url, ...login })
      return await reasonOf(shop.subscribe(taken)[Symbol.asyncIterator]().next())
    }
    assert.deepInclude(await first({ user: "service", pass: "s" }), {
      _tag: "NotConnected",
      detail: "there is no stream EVT_shop: is the service deployed?"
    })
    await using _service = await ShelfService.start(server.url, {}, { user: "service", pass: "s" })
    const create = await first({ user: "none", pass: "n" })
    assert.isTrue(
      create._tag === "NotAllowed" && create.subject.startsWith("$JS.API.CONSUMER.CREATE.EVT_shop."),
      JSON.stringify(create)
    )
    const next = await first({ user: "web", pass: "w" })
    assert.isTrue(
      next._tag === "NotAllowed" && next.subject.startsWith("$JS.API.CONSUMER.MSG.NEXT.EVT_shop."),
      JSON.stringify(next)
    )
  })
})
