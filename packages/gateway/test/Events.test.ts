import { assert, beforeAll, describe, it, vi } from "@effect/vitest"
import { ClientError, NotConnected, PlaceLost, type Reason, Rejected, type SubscribeOptions } from "@troupe/client"
import type { Contract } from "@troupe/contract"
import type { Limits } from "@troupe/gateway"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { auth, gateway, type Hear, token } from "./shop.ts"

beforeAll(() => void vi.spyOn(console, "log").mockReturnValue())

const placed = (n: number, key = "o-1") => ({
  type: "shop.Order.placed",
  key,
  payload: { cents: n, at: new Date("2026-01-02") },
  id: `id-${n}`,
  time: "2026-01-02T00:00:00.000Z",
  lane: "shop.Order",
  position: n,
  correlationId: "c",
  causationId: undefined,
  place: `shop.${n}`
})

/** A gateway whose service says these events, and what it was asked for. */
const events = async (
  said: Stream.Stream<unknown, ClientError>,
  options: { readonly limits?: Partial<Limits>; readonly auth?: typeof auth & { clockTolerance?: number } } = {}
) => {
  const heard: Array<{ readonly refs: ReadonlyArray<string>; readonly options: SubscribeOptions }> = []
  const hear: Hear = (refs: ReadonlyArray<Contract.AnyEventRef>, options) =>
    Stream.suspend(() => {
      heard.push({ refs: refs.map(({ type }) => type), options })
      options.onOpen?.("shop.0")
      return said
    })
  const shop = await gateway(options, undefined, hear)
  const get = (query = "", headers: Record<string, string> = {}, signal?: AbortSignal) =>
    shop.post(`/v1/shop/events${query}`, undefined, headers, {
      method: "GET",
      ...(signal === undefined ? {} : { signal })
    })
  return { ...shop, heard, get }
}

/** What of a stream comes first, until it has `text` or ends. */
const until = async (response: Response, text: string) => {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let seen = ""
  while (!seen.includes(text)) {
    const { done, value } = await reader.read()
    if (done) break
    seen += value
  }
  return { seen, reader }
}
const none = "nothing has this in it"
const code = async (response: Response) => [response.status, ((await response.json()) as { code: string }).code]

describe("an event stream", () => {
  it("shows no control or format characters of others, and the same value in JSON", async () => {
    const key = "\u001b[31m\u202ereversed\u2028event: forged"
    await using shop = await events(Stream.make(placed(1, key)))
    const { seen } = await until(await shop.get(), none)
    assert.notMatch(seen.replaceAll("\n", ""), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    const [data = ""] = /^\{.*\}$/m.exec(seen.replaceAll("data: ", "")) ?? []
    assert.strictEqual((JSON.parse(data) as { subject: string }).subject, key)
  })

  it("has events as CloudEvents, each with the place to go on from", async () => {
    await using shop = await events(Stream.make(placed(1), placed(2)))
    const response = await shop.get()
    assert.strictEqual(response.headers.get("content-type"), "text/event-stream; charset=utf-8")
    const { seen } = await until(response, none)
    const [first, second, third, end] = seen.split("\n\n")
    assert.match(first ?? "", /^retry: [12]\d{3}\nid: shop\.0$/)
    assert.match(second ?? "", /^id: shop\.1\nevent: shop\.Order\.placed\ndata: \{/)
    assert.deepStrictEqual(JSON.parse(second?.split("data: ")[1] ?? ""), {
      specversion: "1.0",
      id: "id-1",
      source: "shop",
      type: "shop.Order.placed",
      subject: "o-1",
      time: "2026-01-02T00:00:00.000Z",
      dataversion: 2,
      correlationid: "c",
      datacontenttype: "application/json",
      data: { cents: 1, at: "2026-01-02T00:00:00.000Z" }
    })
    assert.match(third ?? "", /^id: shop\.2\n/)
    assert.strictEqual(end, "")
  })

  it("begins where the request says, and is of what it asks for", async () => {
    await using shop = await events(Stream.empty)
    const everything = ["shop.Order.placed", "shop.Order.gone", "shop.Shelf.filled"]
    const cases: ReadonlyArray<readonly [string, Record<string, string>, ReadonlyArray<string>, object]> = [
      ["", {}, everything, { from: "now" }],
      ["?from=start", {}, everything, { from: "start" }],
      ["?from=2026-01-02T00:00:00Z", {}, everything, { from: new Date("2026-01-02") }],
      ["?from=1970-01-01T00:00:00Z", {}, everything, { from: new Date(0) }],
      ["?from=2262-04-11T23:47:16.854Z", {}, everything, { from: new Date("2262-04-11T23:47:16.854Z") }],
      ["?from=shop.1", {}, everything, { after: "shop.1" }],
      ["?from=start", { "last-event-id": "shop.7" }, everything, { after: "shop.7" }],
      ["?from=start", { "last-event-id": "" }, everything, { from: "start" }],
      ["?actor=Order&event=placed&key=a%2Fb", {}, ["shop.Order.placed"], { from: "now", key: "a/b" }],
      ["?event=placed&event=filled", {}, ["shop.Order.placed", "shop.Shelf.filled"], { from: "now" }],
      ["?actor=Shelf&key=a&key=b", {}, ["shop.Shelf.filled"], { from: "now" }]
    ]
    for (const [query, headers, refs, wanted] of cases) {
      await (await shop.get(query, headers)).body?.cancel()
      const { onOpen: _, ...options } = shop.heard.at(-1)!.options
      assert.deepStrictEqual([shop.heard.at(-1)?.refs, options], [refs, wanted], query)
    }
  })

  it("of several keys has no others", async () => {
    await using shop = await events(Stream.make(placed(1, "a"), placed(2, "b"), placed(3, "c")))
    const { seen } = await until(await shop.get("?key=a&key=c"), none)
    assert.deepStrictEqual(
      [...seen.matchAll(/"subject":"(\w)"/g)].map(([, key]) => key),
      ["a", "c"]
    )
  })

  it("is refused to whoever asks for what there is not, or may not hear it", async () => {
    await using shop = await events(Stream.empty)
    for (const query of ["?actor=Nobody", "?event=nothing", "?actor=Shelf&event=placed"])
      assert.deepStrictEqual(await code(await shop.get(query)), [404, "TRP0701"], query)
    const outside = ["9999-12-31T23:59:59Z", "2262-04-11T23:47:16.855Z", "1969-12-31T23:59:59.999Z"]
    const times = ["2026-99-99T00:00:00Z", "2026-01-02", ...outside].map((time) => `?from=${time}`)
    for (const query of [...times, `?${"key=a&".repeat(101)}`])
      assert.deepStrictEqual(await code(await shop.get(query)), [400, "TRP0710"], query)
    assert.deepStrictEqual(await code(await shop.get("?key=")), [400, "TRP0204"])
    const sender = await token("ada", "send:* hear:other")
    assert.deepStrictEqual(await code(await shop.get("", { authorization: `Bearer ${sender}` })), [403, "TRP0707"])
    assert.strictEqual((await shop.post("/v1/shop/events", "{}")).status, 405)
    assert.lengthOf(shop.heard, 0)
  })

  it("that cannot go on after a place is 410, and 400 when that is none", async () => {
    const reasons: ReadonlyArray<readonly [Reason, number, string]> = [
      [new PlaceLost({ code: "TRP0407", stream: "EVT_shop", why: "" }), 410, "TRP0407"],
      [new PlaceLost({ code: "TRP0408", stream: "EVT_shop", why: "" }), 410, "TRP0408"],
      [new Rejected({ code: "TRP0216", detail: "" }), 400, "TRP0216"]
    ]
    for (const [reason, status, trp] of reasons) {
      await using shop = await gateway({ limits: { streams: { perPrincipal: 1, all: 1 } } }, undefined, () =>
        Stream.fail(new ClientError({ to: "shop", reason }))
      )
      // Twice: a place that was not given back would show.
      for (let i = 0; i < 2; i++)
        assert.deepStrictEqual(await code(await shop.post("/v1/shop/events", undefined, {}, { method: "GET" })), [
          status,
          trp
        ])
    }
  })
})

describe("of event streams there are", () => {
  it("so many for each principal and in all, and a place is free when one is left", async () => {
    await using shop = await events(Stream.never, { limits: { streams: { perPrincipal: 1, all: 2 } } })
    const ada = await shop.get()
    const second = await shop.get()
    assert.isTrue(second.headers.has("retry-after"))
    assert.deepStrictEqual(await code(second), [429, "TRP0708"])
    const as = async (name: string) => ({ authorization: `Bearer ${await token(name, "hear:shop")}` })
    const bob = await shop.get("", await as("bob"))
    assert.strictEqual(bob.status, 200)
    assert.deepStrictEqual(await code(await shop.get("", await as("eve"))), [503, "TRP0709"])
    await ada.body?.cancel()
    await vi.waitUntil(async () => (await shop.get()).status === 200)
    const metrics = await shop.post("/metrics", undefined, {}, { method: "GET" })
    assert.match(await metrics.text(), /troupe_gateway_streams 2/)
  })
})

describe("an EventSource, which never comes back after another status than 200,", () => {
  const accept = { accept: "text/event-stream" }
  /** What it gets: how long it waits before it comes again, and the code in a comment. */
  const wait = async (response: Response) => {
    assert.strictEqual(response.status, 200)
    assert.strictEqual(response.headers.get("content-type"), "text/event-stream; charset=utf-8")
    const [, retry, code] = /^retry: (\d+)\n\n: (TRP\d{4})[^\n]*\n\n$/.exec(await response.text()) ?? []
    return { retry: Number(retry), code }
  }

  it("gets a stream that ends where others get 429 or 503, and comes back at a time of its own", async () => {
    await using shop = await events(Stream.never, { limits: { streams: { perPrincipal: 1, all: 1 } } })
    const refusals = async () => {
      const metrics = await shop.post("/metrics", undefined, {}, { method: "GET" })
      return Number(
        /^troupe_gateway_requests\S*\{[^}]*status="429"[^}]*\} (\d+)$/m.exec(await metrics.text())?.[1] ?? 0
      )
    }
    await shop.get()
    const before = await refusals()
    const waits = await Promise.all(Array.from({ length: 20 }, async () => wait(await shop.get("", accept))))
    for (const { code, retry } of waits) {
      assert.strictEqual(code, "TRP0708")
      assert.isTrue(retry >= 5_000 && retry <= 10_000, String(retry))
    }
    assert.isAbove(new Set(waits.map(({ retry }) => retry)).size, 10)
    const bob = { authorization: `Bearer ${await token("bob", "hear:shop")}` }
    assert.strictEqual((await wait(await shop.get("", { ...accept, ...bob }))).code, "TRP0709")
    assert.strictEqual((await refusals()) - before, 20, "they are counted")
  })

  it("gets one when the service does not answer", async () => {
    const away = Stream.fail(new ClientError({ to: "shop", reason: new NotConnected({ detail: "" }) }))
    await using shop = await gateway({}, undefined, () => away)
    const response = await shop.post("/v1/shop/events", undefined, accept, { method: "GET" })
    assert.strictEqual((await wait(response)).code, "TRP0709")
  })

  it("gets one when its rate is used up", async () => {
    await using shop = await events(Stream.empty, { limits: { rate: { burst: 1, perSecond: 0.001 } } })
    await shop.get("", accept)
    assert.strictEqual((await wait(await shop.get("", accept))).code, "TRP0708")
  })

  it("gets the statuses that will not pass", async () => {
    await using shop = await events(Stream.never)
    const status = async (query: string, headers: Record<string, string> = {}) =>
      (await shop.get(query, { ...accept, ...headers })).status
    assert.strictEqual(await status("", { authorization: "Bearer x" }), 401)
    assert.strictEqual(await status("", { authorization: `Bearer ${await token("ada", "hear:other")}` }), 403)
    assert.strictEqual(await status("?event=nothing"), 404)
    assert.strictEqual(await status("?from=2026-99"), 400)
  })
})

describe("an event stream ends", () => {
  it("when its token does", async () => {
    await using shop = await events(Stream.never, { auth: { ...auth, clockTolerance: 0 } })
    const short = await token("ada", "hear:shop", { exp: 2 })
    const began = performance.now()
    const response = await shop.get("", { authorization: `Bearer ${short}` })
    assert.strictEqual(response.status, 200)
    await until(response, none)
    assert.isBelow(performance.now() - began, 3_000)
    assert.deepStrictEqual(await code(await shop.get("", { authorization: `Bearer ${short}` })), [401, "TRP0706"])
  })

  it("when its reader takes nothing, and of what comes meanwhile it holds one event", async () => {
    let asked = 0
    const endless = Stream.fromEffectRepeat(Effect.sync(() => placed(++asked)))
    await using shop = await events(endless, { limits: { stalled: 100, streams: { perPrincipal: 1, all: 1 } } })
    const response = await shop.get()
    const reader = response.body!.getReader()
    for (let i = 0; i < 4; i++) assert.isFalse((await reader.read()).done)
    const why = await reader.closed.then(
      () => "ended",
      ({ message }: Error) => message
    )
    assert.strictEqual(why, "the reader takes nothing")
    assert.strictEqual(asked, 4, "three were read, and one waited")
    assert.strictEqual((await shop.get()).status, 200, "its place is free")
  })

  it("when the gateway does", async () => {
    const shop = await events(Stream.never)
    const response = await shop.get()
    await shop[Symbol.asyncDispose]()
    const { seen } = await until(response, none)
    assert.match(seen, /^retry: [12]\d{3}\nid: shop\.0\n\n$/)
  })

  it("not by itself: it is kept alive by comments", async () => {
    await using shop = await events(Stream.never, { limits: { keepAlive: 20, stalled: 50 } })
    const { reader, seen } = await until(await shop.get(), ": \n\n: \n\n")
    assert.include(seen, ": \n\n: \n\n")
    await reader.cancel()
  })
})
