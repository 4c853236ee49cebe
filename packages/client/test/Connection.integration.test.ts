import { fork } from "node:child_process"
import { assert, describe, it } from "@effect/vitest"
import { ClientError, connect, layer, send } from "@troupe/client/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { reasonOf, startNats } from "./natsServer.ts"
import { ShelfService, Shop } from "./shelf.ts"

const tea = Shop.Shelf.at("tea")
const users = `authorization { users: [
  { user: service, password: s }
  { user: web, password: w, permissions: {
    publish: ["cmd.shop.Shelf.take.*"], subscribe: ["_INBOX.web.>"] } }
] }`
const web = { user: "web", pass: "w", inboxPrefix: "_INBOX.web" }

describe("a connection", () => {
  it("fails within its timeout when there is no server", async () => {
    const gone = await startNats()
    await gone[Symbol.asyncDispose]()
    const error = await connect({ servers: gone.url, timeout: "200 millis" }).catch((error: unknown) => error)
    assert.instanceOf(error, ClientError)
    assert.match(error.message, /^TRP0401 cannot connect to NATS · nats:\/\/127\.0\.0\.1:\d+ · connection refused · /)
    assert.isTrue(error.retryable)
  })

  it("waits within its timeout for a server that starts", async () => {
    await using server = await startNats()
    await server.kill()
    const connecting = connect({ servers: server.url })
    await server.start()
    await using _service = await ShelfService.start(server.url)
    await using shop = await connecting
    assert.strictEqual((await shop.ask(tea.take({ n: 1 }))).left, 1)
  })

  it("fails at once for a user whom the server does not know", async () => {
    await using server = await startNats(users)
    const started = performance.now()
    const reason = await reasonOf(connect({ servers: server.url, user: "web", pass: "wrong", timeout: "1 minute" }))
    assert.isTrue(reason._tag === "NotAuthorized" && /authorization violation/i.test(reason.detail), String(reason))
    assert.isBelow(performance.now() - started, 10_000)
  })

  it("takes user and password from the address, where no option says them", async () => {
    await using server = await startNats(users)
    await using service = await ShelfService.start(server.url, {}, { user: "service", pass: "s" })
    const servers = server.url.replace("nats://", "nats://web:w@")
    await using shop = await connect({ servers: [servers], inboxPrefix: "_INBOX.web" })
    await shop.ask(tea.take({ n: 1 }))
    assert.strictEqual(service.got.length, 1)
    const error = await connect({ servers: servers.replace(":w@", ":x@") }).catch((error: unknown) => String(error))
    assert.match(error as string, /TRP0412 /)
    assert.notInclude(error as string, ":x@")
  })

  it("fails the operation that its user may not do, at once", async () => {
    await using server = await startNats(users)
    await using service = await ShelfService.start(server.url, {}, { user: "service", pass: "s" })
    await using shop = await connect({ servers: server.url, ...web })
    const started = performance.now()
    const [allowed, forbidden] = await Promise.allSettled([
      shop.ask(tea.take({ n: 1 }), { timeout: "30 seconds" }),
      shop.ask(tea.clear(), { timeout: "30 seconds" })
    ])
    assert.strictEqual(allowed.status, "fulfilled")
    assert.deepInclude(
      await reasonOf(forbidden.status === "rejected" ? Promise.reject(forbidden.reason) : Promise.resolve()),
      {
        _tag: "NotAllowed",
        subject: "cmd.shop.Shelf.clear.tea"
      }
    )
    assert.deepInclude(await reasonOf(shop.send(tea.clear())), {
      _tag: "NotAllowed",
      subject: "cmd.shop.Shelf.clear.tea"
    })
    assert.isBelow(performance.now() - started, 10_000)
    assert.strictEqual(service.got.length, 1)
  })

  it("says that no answer can arrive when its user may not hear its inbox", async () => {
    await using server = await startNats(users)
    await using _service = await ShelfService.start(server.url, {}, { user: "service", pass: "s" })
    await using shop = await connect({ servers: server.url, ...web, inboxPrefix: "_INBOX.other" })
    for (const verb of ["ask", "ask", "send", "send"] as const) {
      const reason = await reasonOf(shop[verb](tea.take({ n: 1 }), { timeout: "30 seconds" }))
      assert.isTrue(reason._tag === "NotAllowed" && /^_INBOX\.other\.\w+\.\*$/.test(reason.subject), String(reason))
    }
  })

  it("refuses an inbox where replies may not go", async () => {
    for (const inboxPrefix of ["_INBOX.a.b", "inbox", "_INBOX.*", "cmd.orders"]) {
      const error = await connect({ servers: "nats://127.0.0.1:1", inboxPrefix }).catch((error: unknown) => error)
      assert.instanceOf(error, TypeError, inboxPrefix)
    }
  })

  it("when closed, fails what is under way and what comes later", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    service.answer = () => undefined
    const shop = await connect({ servers: server.url })
    const asked = reasonOf(shop.ask(tea.take({ n: 1 }), { timeout: "1 hour" }))
    const seen: Array<unknown> = []
    const heard = collect(shop.subscribe(Shop.Shelf.events.taken), seen)
    while (service.got.length === 0 || (await service.listeners()) === 0) await new Promise(setImmediate)
    await service.emit("taken", "tea", { n: 1 })
    while (seen.length === 0) await new Promise(setImmediate)
    await shop[Symbol.asyncDispose]()
    assert.deepInclude(await asked, { _tag: "NotConnected", detail: "the connection was closed" })
    assert.deepInclude(await reasonOf(shop.ask(tea.take({ n: 1 }))), { _tag: "NotConnected" })
    assert.deepInclude(await reasonOf(shop.send(tea.take({ n: 1 }))), { _tag: "NotConnected" })
    await heard
    assert.deepInclude(await reasonOf(collect(shop.subscribe(Shop.Shelf.events.taken), [])), { _tag: "NotConnected" })
    await shop[Symbol.asyncDispose]()
  })

  it.each(["tcp", "ws"])(
    "over %s leaves nothing behind when it is closed: its program ends by itself",
    async (transport) => {
      await using server = await startNats()
      await using service = await ShelfService.start(server.url)
      service.answer = () => undefined
      const program = fork(
        new URL("closing.ts", import.meta.url),
        [transport, transport === "ws" ? server.wsUrl : server.url],
        {
          execArgv: ["--conditions=@troupe/source"],
          stdio: ["ignore", "pipe", "inherit", "ipc"]
        }
      )
      let printed = ""
      program.stdout?.on("data", (text) => (printed += text))
      const ended = new Promise((resolve) => program.once("close", resolve))
      // Closed in the middle of everything: an ask without an answer, a subscription, a connection that does not come about.
      while (service.got.length < 2 || (await service.listeners()) === 0) await new Promise(setImmediate)
      program.send("close")
      assert.strictEqual(await ended, 0)
      assert.match(printed, /^TRP0401 .* connection refused .*\nTRP0401 .* the connection was closed .*\n$/)
    }
  )
})

describe("a send", () => {
  it("is done when the stream has it, once for one id", async () => {
    await using server = await startNats()
    await using service = await ShelfService.start(server.url)
    await using shop = await connect({ servers: server.url })
    await shop.send(tea.take({ n: 1 }), { id: "s-1" })
    await shop.send(tea.take({ n: 1 }), { id: "s-1" })
    await shop.send(tea.take({ n: 2 }), { id: "s-2" })
    while (service.got.length < 2) await new Promise(setImmediate)
    assert.deepStrictEqual(
      service.got.map(({ envelope }) => envelope.id),
      ["s-1", "s-2"]
    )
    assert.isUndefined(service.got[0]!.envelope.replyTo)
    assert.isUndefined(service.got[0]!.envelope.deadlineMs)
  })

  it.live("is repeated until the server is back", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireDisposable(Effect.promise(() => startNats()))
      const service = yield* Effect.acquireDisposable(Effect.promise(() => ShelfService.start(server.url)))
      yield* Effect.gen(function* () {
        yield* Effect.promise(() => server.kill())
        const sent = yield* Effect.forkChild(send(tea.take({ n: 1 }), { timeout: "15 seconds" }))
        yield* Effect.promise(() => server.start())
        yield* Fiber.join(sent)
        while (service.got.length === 0) yield* Effect.yieldNow
      }).pipe(Effect.provide(layer({ servers: server.url })))
    })
  )
})

const collect = async (events: AsyncIterable<unknown>, into: Array<unknown>): Promise<void> => {
  for await (const event of events) into.push(event)
}
