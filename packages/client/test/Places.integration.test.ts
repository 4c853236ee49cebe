import { fork } from "node:child_process"
import { once } from "node:events"
import { cp, rm } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { assert, describe, it, vi } from "@effect/vitest"
import { jetstreamManager, type StreamAPI } from "@nats-io/jetstream"
import { Contract } from "@troupe/contract"
import { type Connection, connect, type SubscribeOptions } from "@troupe/client/node"
import * as Schema from "effect/Schema"
import { reasonOf, startNats } from "./natsServer.ts"
import { ShelfService, Shop } from "./shelf.ts"

const { cleared, taken } = Shop.Shelf.events

const take = (service: ShelfService, n: number, key = "tea") =>
  service.emit("taken", key, { n, by: "me" }, { version: 2 })

/** The numbers of the next `count` events, and the last one's place; every event but the last one is handled. */
const read = async (shop: Connection, count: number, options: SubscribeOptions) => {
  const seen: Array<number> = []
  let place = ""
  for await (const event of shop.subscribe(taken, options)) {
    seen.push(event.payload.n)
    place = event.place
    if (seen.length === count) break
  }
  return { seen, place }
}

const world = async () => {
  const server = await startNats()
  const service = await ShelfService.start(server.url)
  const shop = await connect({ servers: server.url, name: "web" })
  return {
    server,
    service,
    shop,
    events: (await jetstreamManager(service.nc)).streams,
    [Symbol.asyncDispose]: async () => {
      await shop[Symbol.asyncDispose]()
      await service[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    }
  }
}

describe("a subscription begins", () => {
  it("with the first event, at a time, or after a place", async () => {
    await using it = await world()
    const { service, shop } = it
    for (const n of [1, 2]) await take(service, n)
    const { place, seen } = await read(shop, 2, { from: "start" })
    assert.deepStrictEqual(seen, [1, 2])
    const stored = async () => (await it.events.info("EVT_shop")).state.last_ts
    const later = Date.parse(await stored()) + 1
    while (Date.now() <= later) await new Promise(setImmediate)
    for (const n of [3, 4, 5]) await take(service, n)
    assert.deepStrictEqual((await read(shop, 3, { from: new Date(later) })).seen, [3, 4, 5])
    const third = await read(shop, 1, { after: place })
    assert.deepStrictEqual(third.seen, [3])
    assert.deepStrictEqual((await read(shop, 2, { after: third.place, from: "start" })).seen, [4, 5])
  })

  it("at a sequence of the stream, or at the first event after it", async () => {
    await using it = await world()
    const { events, service, shop } = it
    for (const n of [1, 2, 3, 4]) await take(service, n)
    assert.deepStrictEqual((await read(shop, 3, { from: 2 })).seen, [2, 3, 4])
    await events.purge("EVT_shop", { seq: 4 })
    assert.deepStrictEqual((await read(shop, 1, { from: 2 })).seen, [4])
    for (const from of [0, -1, 1.5, Number.NaN, new Date(Number.NaN), new Date(-1), new Date(9_223_372_036_855)])
      assert.match(String(await read(shop, 1, { from }).catch((error: unknown) => error)), /no time and no sequence/)
  })

  it("after the last event, with the next one", async () => {
    await using it = await world()
    await take(it.service, 1)
    const { place } = await read(it.shop, 1, { from: "start" })
    const next = read(it.shop, 1, { after: place })
    while ((await it.service.listeners()) === 0) await new Promise(setImmediate)
    await take(it.service, 2)
    assert.deepStrictEqual((await next).seen, [2])
  })

  it("nowhere when there is no kind of event to hear", async () => {
    await using it = await world()
    const next = it.shop.subscribe([])[Symbol.asyncIterator]().next()
    assert.match(String(await next.catch((error: unknown) => error)), /no kind of event/)
  })

  it("nowhere when the place is none of these services", async () => {
    await using it = await world()
    for (const after of ["", "now", "other.1.1.1.1"])
      assert.deepInclude(await reasonOf(read(it.shop, 1, { after })), { _tag: "Rejected", code: "TRP0216" })
  })
})

describe("a subscription to one key", () => {
  it("reads its events only, also behind a place", async () => {
    await using it = await world()
    const { service, shop } = it
    for (const n of [1, 2, 3]) for (const key of ["tea", "milk", "a.b é"]) await take(service, n, key)
    await service.emit("cleared", "a.b é", {})
    const options = { key: "a.b é", from: "start" } as const
    const { place, seen } = await read(shop, 2, options)
    assert.deepStrictEqual(seen, [1, 2])
    const rest: Array<string> = []
    for await (const event of shop.subscribe([taken, cleared], { key: "a.b é", after: place })) {
      rest.push(`${event.key} ${event.type}`)
      if (rest.length === 2) break
    }
    assert.deepStrictEqual(rest, ["a.b é shop.Shelf.taken", "a.b é shop.Shelf.cleared"])
    assert.deepInclude(await reasonOf(read(shop, 1, { key: "" })), { _tag: "BadKey" })
  })

  it("is refused by a stream that somebody else has made", async () => {
    await using it = await world()
    await it.events.delete("EVT_shop")
    await (await jetstreamManager(it.service.nc)).streams.add({ name: "EVT_shop", subjects: ["evt.shop.>"] })
    assert.deepInclude(await reasonOf(read(it.shop, 1, { key: "tea" })), {
      _tag: "NotConnected",
      detail: "EVT_shop spreads its keys over no partitions: only a service makes it"
    })
  })
})

describe("events that are not there any more", () => {
  it("are told of, and skipped only where that is wanted", async () => {
    await using it = await world()
    const { events, service, shop } = it
    for (const n of [1, 2, 3, 4]) await take(service, n)
    const first = await read(shop, 1, { from: "start" })
    const second = await read(shop, 1, { after: first.place })
    await events.purge("EVT_shop", { seq: 3 })
    assert.deepInclude(await reasonOf(read(shop, 1, { after: first.place })), {
      _tag: "PlaceLost",
      code: "TRP0407",
      why: "it was read up to 1, and now begins at 3"
    })
    assert.deepStrictEqual((await read(shop, 2, { after: first.place, whenLost: "rewind" })).seen, [3, 4])
    // Nothing is missing behind the second.
    assert.deepStrictEqual((await read(shop, 2, { after: second.place })).seen, [3, 4])
  })

  it.each([{}, { key: "tea" }])("are told of while they are read, with %o", async (options) => {
    await using it = await world()
    const { events, service, shop } = it
    await Promise.all(Array.from({ length: 600 }, (_, n) => take(service, n)))
    const all = shop.subscribe(taken, { ...options, from: "start" })[Symbol.asyncIterator]()
    await all.next()
    await events.purge("EVT_shop", { seq: 590 })
    let last = 1
    const reason = await reasonOf(
      (async () => {
        for (;;) {
          await all.next()
          last++
        }
      })()
    )
    assert.deepInclude(reason, { _tag: "PlaceLost", code: "TRP0407" })
    assert.isBelow(last, 590)
  })

  it("are passed when somebody deleted just these", async () => {
    await using it = await world()
    for (const n of [1, 2, 3, 4, 5]) await take(it.service, n)
    await it.events.deleteMessage("EVT_shop", 3)
    const { place, seen } = await read(it.shop, 2, { from: "start" })
    assert.deepStrictEqual(seen, [1, 2])
    assert.deepStrictEqual((await read(it.shop, 2, { after: place })).seen, [4, 5])
    await it.events.deleteMessage("EVT_shop", 2)
    assert.deepStrictEqual((await read(it.shop, 2, { after: place })).seen, [4, 5])
    assert.deepStrictEqual((await read(it.shop, 3, { from: "start" })).seen, [1, 4, 5])
  })

  /** Reads on after a place, in a stream that was set back to what it had before. */
  const setBack = async (options: SubscribeOptions, before: number, now: number, others = "tea") => {
    const it = await world()
    const { server, service } = it
    for (let n = 1; n <= before; n++) await take(service, n)
    const copy = `${server.store}-copy`
    await server.kill()
    await cp(server.store, copy, { recursive: true })
    await server.start()
    await take(service, 100)
    const { place } = await read(it.shop, before + 1, { ...options, from: "start" })
    await server.kill()
    await rm(server.store, { recursive: true })
    await cp(copy, server.store, { recursive: true })
    await server.start()
    for (let n = 1; n <= now; n++) await take(service, 200 + n, others)
    return { it, reading: read(it.shop, before + now, { ...options, after: place }) }
  }

  it("are told of when the stream was set back, also when it has grown since", async () => {
    for (const [now, why] of [
      [0, "it was read up to 3, and now ends at 2"],
      [3, "it was read up to 3, and now has another message there"]
    ] as const) {
      const { it, reading } = await setBack({}, 2, now)
      await using _ = it
      assert.deepInclude(await reasonOf(reading), { _tag: "PlaceLost", code: "TRP0408", why })
    }
  })

  it("are told of when the stream was set back and has grown with events of other keys", async () => {
    const { it, reading } = await setBack({ key: "tea" }, 2, 3, "coffee")
    await using _ = it
    const why = "it was read up to 3, and now has another message there"
    assert.deepInclude(await reasonOf(reading), { _tag: "PlaceLost", code: "TRP0408", why })
  })

  it("and are read again from a little before, where that is wanted", async () => {
    const { it, reading } = await setBack({ whenLost: "rewind" }, 2, 3)
    await using _ = it
    assert.deepStrictEqual((await reading).seen, [1, 2, 201, 202, 203])
  })

  it("and are read again though this program's clock was an hour ahead when it began", async () => {
    await using it = await world()
    const { server, service, shop } = it
    await take(service, 1)
    const copy = `${server.store}-copy`
    await server.kill()
    await cp(server.store, copy, { recursive: true })
    await server.start()
    await take(service, 100)
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 })
    const opened = Promise.withResolvers<string>()
    const all = shop.subscribe(taken, { onOpen: opened.resolve })
    const reading = all[Symbol.asyncIterator]()
    void reading.next()
    const place = await opened.promise
    await reading.return?.()
    vi.useRealTimers()
    await server.kill()
    await rm(server.store, { recursive: true })
    await cp(copy, server.store, { recursive: true })
    await server.start()
    for (const n of [201, 202]) await take(service, n)
    assert.deepStrictEqual((await read(shop, 3, { after: place, whenLost: "rewind" })).seen, [1, 201, 202])
  })

  it("are told of when the stream was deleted, and made anew", async () => {
    await using it = await world()
    await take(it.service, 1)
    const { place } = await read(it.shop, 1, { from: "start" })
    const { config } = await it.events.info("EVT_shop")
    await it.events.delete("EVT_shop")
    await it.events.add(config)
    await take(it.service, 1)
    const reason = await reasonOf(read(it.shop, 1, { after: place }))
    assert.isTrue(reason._tag === "PlaceLost" && reason.why.startsWith("it was created"), JSON.stringify(reason))
  })
})

describe("a durable subscription", () => {
  const durable = { durable: "billing", from: "start" } as const

  it("goes on after what was handled", async () => {
    await using it = await world()
    for (let n = 1; n <= 5; n++) await take(it.service, n)
    assert.deepStrictEqual((await read(it.shop, 3, durable)).seen, [1, 2, 3])
    // The third was not handled: nobody asked for the one after it.
    assert.deepStrictEqual((await read(it.shop, 3, durable)).seen, [3, 4, 5])
    assert.deepStrictEqual((await read(it.shop, 1, { ...durable, durable: "other" })).seen, [1])
    await using somebody = await connect({ servers: it.server.url, name: "somebody" })
    assert.deepStrictEqual((await read(somebody, 1, durable)).seen, [1])
  })

  it("begins, under a new name, with what is said from now on, also while nobody reads", async () => {
    await using it = await world()
    await take(it.service, 1)
    const begun = it.shop.subscribe(taken, { durable: "late" })[Symbol.asyncIterator]()
    const first = begun.next()
    const places = async () => (await it.events.info("PLACE_shop")).state.messages
    while ((await places()) === 0) await new Promise(setImmediate)
    await take(it.service, 2)
    await first
    await begun.return?.()
    await take(it.service, 3)
    assert.deepStrictEqual((await read(it.shop, 2, { durable: "late" })).seen, [2, 3])
  })

  it("leaves nothing out, keeps the order and repeats 257 at most when its process is killed, or its server", async () => {
    await using it = await world()
    const { server, service } = it
    const last = 2_000
    for (let n = 1; n <= last; n += 100)
      await Promise.all(Array.from({ length: 100 }, (_, i) => take(service, n + i, `key-${n + i}`)))
    const order = (await read(it.shop, last, { from: "start" })).seen
    const program = fileURLToPath(new URL("reading.ts", import.meta.url))
    const seen: Array<number> = []
    let deaths = 0
    for (let handled = 0; handled < last;) {
      const child = fork(program, [server.url], { execArgv: ["--conditions=@troupe/source"] })
      const ended = Promise.all([once(child, "exit"), once(child, "disconnect")])
      let count = 0
      let first: number | undefined
      const midway = Promise.withResolvers<void>()
      child.on("message", (n: number) => {
        first ??= order.indexOf(n)
        seen.push(n)
        if (count === 50) midway.resolve()
        if (++count === 550 || n === order[last - 1]) child.kill("SIGKILL")
      })
      if (deaths === 1) {
        await midway.promise
        await server.kill()
        await server.start()
      }
      await ended
      deaths++
      assert.isAtMost(first!, handled, "nothing is left out")
      assert.isAtLeast(first!, handled - 257, "and no more than that comes again")
      const expected = order.slice(first, first! + count)
      assert.deepStrictEqual(seen.slice(-count), expected, "in the order of the stream")
      handled = first! + count
    }
    assert.isAbove(deaths, 3)
  }, 60_000)

  it("is taken over by the next one of its name; the one before hears so", async () => {
    await using it = await world()
    const { service, shop } = it
    for (let n = 1; n <= 3; n++) await take(service, n)
    const first = shop.subscribe(taken, durable)[Symbol.asyncIterator]()
    assert.strictEqual((await first.next()).value?.payload.n, 1)
    const second = shop.subscribe(taken, durable)[Symbol.asyncIterator]()
    assert.strictEqual((await second.next()).value?.payload.n, 1)
    assert.strictEqual((await first.next()).value?.payload.n, 2)
    const reason = await reasonOf(
      (async () => {
        for (;;) await first.next()
      })()
    )
    assert.deepInclude(reason, { _tag: "TakenOver", durable: "billing" })
    assert.strictEqual((await second.next()).value?.payload.n, 2)
    await second.return?.()
    assert.deepStrictEqual((await read(shop, 2, durable)).seen, [2, 3])
  })

  it("is not taken over by one that cannot read all that it asks for", async () => {
    await using it = await world()
    class Box extends Contract.actor({ key: Schema.String, commands: {}, events: { opened: Contract.event({}) } }) {}
    const { opened } = Contract.make("absent", { Box }).Box.events
    const durable = { durable: "mine", from: "start" } as const
    await take(it.service, 1)
    const mine = it.shop.subscribe(taken, durable)[Symbol.asyncIterator]()
    assert.strictEqual((await mine.next()).value?.payload.n, 1)
    const other = it.shop.subscribe([taken, opened], durable)[Symbol.asyncIterator]()
    assert.strictEqual((await reasonOf(other.next()))._tag, "NotConnected")
    const place = async () => (await it.events.info("PLACE_shop")).state.last_seq
    const before = await place()
    await take(it.service, 2)
    assert.strictEqual((await mine.next()).value?.payload.n, 2)
    while ((await place()) === before) await new Promise(setImmediate)
    await take(it.service, 3)
    assert.strictEqual((await mine.next()).value?.payload.n, 3)
    await mine.return?.()
  })

  it("that is begun by two at once under a new name leaves out nothing", async () => {
    await using it = await world()
    const { service, shop } = it
    await take(service, 1)
    // Both find no place; the one that asks later begins where the other one did, not where the stream is by then.
    const begun = Array.from({ length: 8 }, () => shop.subscribe(taken, { durable: "both" })[Symbol.asyncIterator]())
    const firsts = begun.map((one) => one.next().catch((error: unknown) => error))
    const places = async () => (await it.events.info("PLACE_shop")).state.last_seq
    while ((await places()) === 0) await new Promise(setImmediate)
    await take(service, 2)
    const seen = await Promise.all(firsts)
    const numbers = seen.flatMap((one) =>
      "value" in (one as object) ? [(one as { value: { payload: { n: number } } }).value.payload.n] : []
    )
    assert.isNotEmpty(numbers)
    assert.deepStrictEqual(new Set(numbers), new Set([2]))
    for (const one of begun) await one.return?.()
    assert.deepStrictEqual((await read(shop, 1, { durable: "both" })).seen, [2])
  })

  it("that is interrupted while it begins leaves nothing behind", async () => {
    await using it = await world()
    await take(it.service, 1)
    for (let n = 0; n < 10; n++) {
      const one = it.shop.subscribe(taken, { durable: `d${n}`, from: "start" })[Symbol.asyncIterator]()
      const first = one.next().catch(() => {})
      for (let turns = 0; turns < n; turns++) await new Promise(setImmediate)
      await one.return?.()
      await first
    }
    while ((await it.service.listeners()) > 0) await new Promise(setImmediate)
  })

  it("ends its loop when the connection is closed under it", async () => {
    await using it = await world()
    for (let n = 0; n < 300; n++) await take(it.service, n)
    const shop = await connect({ servers: it.server.url, name: "app" })
    let read = 0
    let closing: PromiseLike<void> | undefined
    // More than are read before a place is saved: the connection that it is saved by is closed by then.
    for await (const _ of shop.subscribe(taken, { from: "start", durable: "closed" }))
      if (++read === 10) closing = shop[Symbol.asyncDispose]()
    await closing
    assert.isAtLeast(read, 10)
  })

  it("leaves no timer, which would keep a program from its end", async () => {
    await using it = await world()
    for (const n of [1, 2]) await take(it.service, n)
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
    const before = timers()
    await read(it.shop, 2, { from: "start", durable: "timers" })
    assert.isAtMost(timers(), before)
  })

  it("ends when its service keeps places no longer, or has no room for them", async () => {
    const endings: ReadonlyArray<readonly [(events: StreamAPI) => Promise<unknown>, string]> = [
      [
        (events) => events.delete("PLACE_shop"),
        "there is no stream PLACE_shop: is the service deployed, and new enough?"
      ],
      [(events) => events.update("PLACE_shop", { max_bytes: 1 }), "maximum bytes exceeded"]
    ]
    // Side by side: it waits some seconds for a server that starts.
    const reasons = endings.map(async ([end]) => {
      await using it = await world()
      const all = it.shop.subscribe(taken, { durable: "gone", from: "start" })[Symbol.asyncIterator]()
      await take(it.service, 1)
      await all.next()
      await end(it.events)
      await take(it.service, 2)
      await all.next()
      return await reasonOf(all.next())
    })
    for (const [i, [, detail]] of endings.entries())
      assert.deepInclude(await reasons[i], { _tag: "NotConnected", detail })
  })

  it("says what is missing when its service keeps no places, or its name is none", async () => {
    await using it = await world()
    await it.events.delete("PLACE_shop")
    assert.deepInclude(await reasonOf(read(it.shop, 1, durable)), {
      _tag: "NotConnected",
      detail: "there is no stream PLACE_shop: is the service deployed, and new enough?"
    })
    const wrong = await read(it.shop, 1, { durable: "a.b" }).catch((error: unknown) => error)
    assert.match(String(wrong), /"a.b" is no durable/)
  })
})
