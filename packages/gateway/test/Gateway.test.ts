import { assert, beforeAll, describe, it, vi } from "@effect/vitest"
import { Client, ClientError, NotConnected, type Reason, Rejected, StreamFull, TooLarge } from "@troupe/client"
import { Contract, Id } from "@troupe/contract"
import { Gateway, toWebHandler } from "@troupe/gateway"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { auth, client, gateway, idSecret, json, late, OutOfStock, refused, Shop, token } from "./shop.ts"

const place = "/v1/shop/Order/o-1/place"
const order = JSON.stringify({ cents: 7 })
// Each request is logged.
beforeAll(() => void vi.spyOn(console, "log").mockReturnValue())

/** Control and format characters, and those that break lines: what no reply shows as it is. */
const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u
const hostile = "\u001b[31m\u009b2J\u202ereversed\u2028TRP9999 forged\u{e0041}"

describe("what a gateway shows of others", () => {
  it("has no control or format characters, and is the same value in JSON", async () => {
    await using shop = await gateway({}, ({ message }) =>
      message.key === hostile ? new OutOfStock({ sku: hostile }) : Effect.succeed({ cents: 7, note: hostile })
    )
    const texts = async (answer: Response) => {
      const text = await answer.text()
      assert.notMatch(text, hidden)
      return JSON.parse(text) as Record<string, unknown>
    }
    const replied = await texts(await shop.post(place, order))
    assert.strictEqual(replied["note"], hostile)
    const refused = await shop.post(place, JSON.stringify({ cents: hostile }))
    assert.strictEqual(refused.status, 400)
    await texts(refused)
    const failed = await shop.post(`/v1/shop/Order/${encodeURIComponent(hostile)}/place`, order)
    assert.strictEqual(failed.status, 422)
    assert.deepStrictEqual((await texts(failed))["error"], { _tag: "OutOfStock", sku: hostile })
  })
})

describe("a command over HTTP", () => {
  it("is asked of its actor, and answered with its reply as the contract writes it", async () => {
    await using shop = await gateway({}, () => Effect.succeed({ cents: 7, at: new Date("2026-01-02") }))
    const answer = await shop.post(
      "/v1/shop/Order/tea%2Fgr%C3%BCn%20.x/place",
      '{"cents":7,"at":"2026-01-01T00:00:00.000Z"}'
    )
    assert.strictEqual(answer.status, 200)
    assert.strictEqual(answer.headers.get("content-type"), "application/json")
    assert.deepStrictEqual(await json(answer), { cents: 7, at: "2026-01-02T00:00:00.000Z" })
    const [asked] = shop.asked
    assert.strictEqual(asked?.message.to, "shop.Order.place")
    assert.strictEqual(asked?.message.key, "tea/grün .x")
    assert.deepStrictEqual(asked?.message.payload, { cents: 7, at: new Date("2026-01-01") })
    assert.strictEqual(answer.headers.get("troupe-message-id"), asked?.id)
  })

  it("is answered with its consistency token, where there is one", async () => {
    await using shop = await gateway()
    assert.strictEqual((await shop.post(place, order)).headers.get("troupe-consistency"), "shop.Order.7.42.o-1")
    for (const [path, prefer] of [
      ["/v1/shop/Order/o-1/clear", "wait=1"],
      [place, "respond-async"]
    ] as const)
      assert.isNull((await shop.post(path, order, { prefer })).headers.get("troupe-consistency"), path)
  })

  it("without a reply is answered with 204, and without a body has the empty payload", async () => {
    await using shop = await gateway({}, () => Effect.void)
    const answer = await shop.fetch(
      new Request("http://shop.example/v1/shop/Order/o-1/clear", {
        method: "POST",
        headers: { authorization: `Bearer ${shop.bearer}` }
      })
    )
    assert.strictEqual(answer.status, 204)
    assert.isNull(answer.body)
  })

  it("is answered with the errors that it declares as 422, encoded", async () => {
    await using shop = await gateway({}, () => new OutOfStock({ sku: "tea" }))
    const answer = await shop.post(place, order)
    assert.strictEqual(answer.status, 422)
    const { instance, ...problem } = await json(answer)
    assert.deepStrictEqual(problem, {
      type: "urn:troupe:error:shop.Order.place:OutOfStock",
      title: "OutOfStock",
      status: 422,
      detail: "shop.Order.place answered OutOfStock",
      error: { _tag: "OutOfStock", sku: "tea" }
    })
    assert.strictEqual(instance, `urn:uuid:${shop.asked[0]?.id}`)
  })

  it("waits as long as Prefer says, within bounds, and says so", async () => {
    await using shop = await gateway({ limits: { maxWait: 30 } })
    const cases = [
      [undefined, 10, null],
      ["wait=3", 3, "wait=3"],
      ["wait=0", 1, "wait=1"],
      ['handling=lenient, Wait = "600"', 30, "wait=30"],
      ["wait=soon", 10, null]
    ] as const
    for (const [prefer, seconds, applied] of cases) {
      const answer = await shop.post(place, order, prefer === undefined ? {} : { prefer })
      assert.strictEqual(answer.headers.get("preference-applied"), applied)
      assert.strictEqual(Duration.toSeconds(shop.asked.at(-1)?.timeout as Duration.Duration), seconds)
    }
  })

  it("is only sent with Prefer: respond-async", async () => {
    await using shop = await gateway()
    const answer = await shop.post(place, order, { prefer: "respond-async, wait=5", "idempotency-key": "k" })
    assert.strictEqual(answer.status, 202)
    assert.strictEqual(answer.headers.get("preference-applied"), "respond-async")
    assert.deepStrictEqual(await json(answer), { id: shop.asked[0]?.id })
    assert.strictEqual(shop.asked[0]?.how, "send")
  })

  it("goes on in the trace of its request", async () => {
    let parent: string | undefined
    await using shop = await gateway({}, () =>
      Effect.map(Effect.currentParentSpan, ({ spanId, traceId }) => {
        parent = `${traceId} ${spanId}`
        return { cents: 7 }
      }).pipe(Effect.orDie)
    )
    await shop.post(place, order, { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` })
    assert.strictEqual(parent, `${"a".repeat(32)} ${"b".repeat(16)}`)
  })
})

describe("an idempotency key", () => {
  it("gives one message id in all gateways of one secret, which nobody without the secret can compute", async () => {
    const idOf = async (options: Parameters<typeof gateway>[0]) => {
      await using shop = await gateway(options)
      assert.strictEqual((await shop.post(place, order, { "idempotency-key": "k-1" })).status, 200)
      return shop.asked[0]?.id ?? ""
    }
    const id = await idOf({ idSecret })
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.strictEqual(await idOf({ idSecret }), id, "another gateway")
    assert.notStrictEqual(await idOf({ idSecret: `${idSecret}.` }), id)
    // By default it is the secret of the tokens.
    const usual = await idOf({})
    assert.strictEqual(await idOf({ idSecret: auth.secret }), usual)
    // All that names the request is known to others.
    const said = JSON.stringify(["ada", "shop.Order.place", "o-1", "k-1"])
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(said)))
    const known = Id.version8(Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join(""))
    assert.notInclude([id, usual], known)
  })

  it("is the message's id, together with who sends it and where to", async () => {
    await using shop = await gateway()
    const sent = async (path: string, key: string, sub = "ada") => {
      const bearer = await token(sub, "send:shop.*")
      const answer = await shop.post(path, order, { authorization: `Bearer ${bearer}`, "idempotency-key": key })
      assert.strictEqual(answer.status, 200)
      return shop.asked.at(-1)!.id
    }
    const id = await sent(place, "k-1")
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.strictEqual(await sent(place, "k-1"), id)
    assert.strictEqual(await sent(place, '"k-1"'), id, "quotes are not part of it")
    const others = [
      await sent(place, "k-2"),
      await sent(place, "k-1", "eve"),
      // The stream would drop it as a repetition.
      await sent("/v1/shop/Order/o-2/place", "k-1"),
      await sent(place, '"k\\"1"')
    ]
    assert.strictEqual(new Set([id, ...others]).size, 5)
  })

  it("is refused when it is none", async () => {
    await using shop = await gateway()
    for (const key of ["", '""', "a b", "k".repeat(256), '"open', 'a"b'])
      assert.deepStrictEqual(await refused(shop.post(place, order, { "idempotency-key": key })), [400, "TRP0710"], key)
    assert.strictEqual((await shop.post(place, order, { "idempotency-key": "k".repeat(255) })).status, 200)
    assert.lengthOf(shop.asked, 1)
  })
})

describe("what is no command", () => {
  it("is told what is wrong with its path", async () => {
    await using shop = await gateway()
    const paths = [
      "//",
      "/livez/",
      "/v1",
      "/v1/shop/Order/o-1",
      "/v1/shop/Order/o-1/place/x",
      "/v1/nobody/Order/o-1/place",
      "/v2/shop/Order/o-1/place",
      "/v1/shop/Nobody/o-1/place",
      "/v1/shop/Order/o-1/nothing",
      "/v1/shop/Order/o-1/constructor",
      "/v1/__proto__/Order/o-1/place",
      "/v1/shop/Order/../place",
      "/v1/shop/Order/%2e%2e/place",
      "/v1/shop%2FOrder/o-1/place",
      "/favicon.ico"
    ]
    for (const path of paths) assert.deepStrictEqual(await refused(shop.post(path, order)), [404, "TRP0701"], path)
    assert.lengthOf(shop.asked, 0)
  })

  it("is told that its key is none", async () => {
    await using shop = await gateway()
    for (const key of ["%ff", "%E0%A4%A", "a%00".repeat(70), "x".repeat(201), "!", "%"])
      assert.deepStrictEqual(await refused(shop.post(`/v1/shop/Order/${key}/place`, order)), [400, "TRP0204"], key)
    assert.lengthOf(shop.asked, 0)
  })

  it("takes keys that look like paths for keys", async () => {
    await using shop = await gateway()
    for (const key of ["../../etc/passwd", "..%2f", "a/b", ".", "%2e", "a?b#c", "*.>", "\u0000"]) {
      // A browser and curl take `.` and `%2e` alone for a part of the path, so they never arrive.
      const answer = await shop.post(`/v1/shop/Order/x${encodeURIComponent(key)}/place`, order)
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(shop.asked.at(-1)?.message.key, `x${key}`)
    }
  })

  it("is told which methods there are", async () => {
    await using shop = await gateway()
    for (const method of ["GET", "HEAD", "PUT", "PATCH", "DELETE"]) {
      const answer = await shop.post(place, undefined, {}, { method })
      assert.strictEqual(answer.status, 405, method)
      assert.strictEqual(answer.headers.get("allow"), "POST, OPTIONS")
    }
    const options = await shop.post(place, undefined, {}, { method: "OPTIONS" })
    assert.deepStrictEqual([options.status, options.headers.get("allow")], [204, "POST, OPTIONS"])
    assert.isNull(options.headers.get("access-control-allow-origin"))
  })
})

describe("what did not get through", () => {
  it("is a problem whose status says what to do, and nothing of the inside", async () => {
    const cases: ReadonlyArray<readonly [Reason, number, string]> = [
      [new StreamFull({ stream: "CMD_shop" }), 503, "TRP0406"],
      [new NotConnected({ detail: "10.0.0.7" }), 503, "TRP0709"],
      [new TooLarge({ bytes: 2, limit: 1 }), 413, "TRP0207"],
      [new Rejected({ code: "TRP0202", detail: "10.0.0.7" }), 404, "TRP0202"],
      [new Rejected({ code: "TRP0206", detail: "" }), 422, "TRP0206"],
      [new Rejected({ code: "TRP0212", detail: "" }), 409, "TRP0212"],
      [new Rejected({ code: "TRP0301", detail: "Error: 10.0.0.7\n    at secret.ts:3" }), 500, "TRP0301"],
      [new Rejected({ code: "TRP9999", detail: "10.0.0.7" }), 502, "TRP0208"]
    ]
    for (const [reason, status, code] of cases) {
      await using shop = await gateway({}, ({ message }) => Effect.fail(new ClientError({ to: message.to, reason })))
      const answer = await shop.post(place, order)
      assert.strictEqual(answer.headers.get("troupe-message-id"), shop.asked[0]?.id)
      assert.strictEqual(answer.headers.has("retry-after"), status === 503, code)
      const text = await answer.clone().text()
      assert.notMatch(text, /10\.0\.0\.7|secret\.ts/)
      assert.deepStrictEqual(await refused(Promise.resolve(answer)), [status, code])
    }
  })

  it("in time may be sent again with the same key", async () => {
    await using shop = await gateway({}, ({ message }) => late(message.to))
    const answer = await shop.post(place, order)
    assert.strictEqual(answer.status, 504)
    const { code, detail } = await json(answer)
    assert.strictEqual(code, "TRP0210")
    assert.match(String(detail), /same Idempotency-Key is safe/)
  })

  it("because something broke is a problem without its cause", async () => {
    await using shop = await gateway({}, () => Effect.die(new Error("10.0.0.7")))
    const answer = await shop.post(place, order)
    assert.notInclude(await answer.clone().text(), "10.0.0.7")
    assert.deepStrictEqual(await refused(Promise.resolve(answer)), [500, "TRP0603"])
  })
})

describe("limits", () => {
  it("hold the requests at once", async () => {
    const gate = Deferred.makeUnsafe<void>()
    const began = Deferred.makeUnsafe<void>()
    await using shop = await gateway({ limits: { concurrent: 1 } }, () =>
      Effect.andThen(Deferred.succeed(began, undefined), Effect.as(Deferred.await(gate), { cents: 7 }))
    )
    const first = shop.post(place, order)
    await Effect.runPromise(Deferred.await(began))
    const second = await shop.post(place, order)
    assert.strictEqual(second.headers.get("retry-after"), "1")
    assert.deepStrictEqual(await refused(Promise.resolve(second)), [503, "TRP0709"])
    Deferred.doneUnsafe(gate, Effect.void)
    assert.strictEqual((await first).status, 200)
    assert.strictEqual((await shop.post(place, order)).status, 200, "there is a place again")
  })

  it("leave three quarters of the requests at once to others", async () => {
    const gate = Deferred.makeUnsafe<void>()
    await using shop = await gateway({ limits: { concurrent: 8 } }, () => Effect.as(Deferred.await(gate), { cents: 7 }))
    const mine = [shop.post(place, order), shop.post(place, order)]
    await vi.waitUntil(() => shop.asked.length === 2)
    const third = await shop.post(place, order)
    assert.strictEqual(third.headers.get("retry-after"), "1")
    assert.deepStrictEqual(await refused(Promise.resolve(third)), [429, "TRP0708"])
    const eve = await token("eve", "send:*")
    const hers = shop.post(place, order, { authorization: `Bearer ${eve}` })
    await vi.waitUntil(() => shop.asked.length === 3)
    Deferred.doneUnsafe(gate, Effect.void)
    for (const answer of await Promise.all([...mine, hers, shop.post(place, order)]))
      assert.strictEqual(answer.status, 200)
  })

  it("give a place back when the caller leaves", async () => {
    const began = Deferred.makeUnsafe<void>()
    await using shop = await gateway({ limits: { concurrent: 1 } }, ({ message }) =>
      message.key === "o-2"
        ? Effect.succeed({ cents: 1 })
        : Effect.andThen(Deferred.succeed(began, undefined), Effect.never)
    )
    const left = new AbortController()
    const first = shop.post(place, order, {}, { signal: left.signal }).catch(() => "left")
    await Effect.runPromise(Deferred.await(began))
    left.abort()
    assert.strictEqual(await first, "left")
    assert.strictEqual((await shop.post("/v1/shop/Order/o-2/place", order)).status, 200)
  })

  it("hold the rate of each principal by itself", async () => {
    await using shop = await gateway({ limits: { rate: { burst: 2, perSecond: 0.01 } } })
    for (const status of [200, 200, 429]) assert.strictEqual((await shop.post(place, order)).status, status)
    const answer = await shop.post(place, order)
    assert.isAtLeast(Number(answer.headers.get("retry-after")), 90)
    assert.deepStrictEqual(await refused(Promise.resolve(answer)), [429, "TRP0708"])
    const eve = await token("eve", "send:*")
    assert.strictEqual((await shop.post(place, order, { authorization: `Bearer ${eve}` })).status, 200)
  })
})

describe("pages of other origins", () => {
  it("may use it where they are named, and no others", async () => {
    await using shop = await gateway({ origins: ["https://shop.example"] })
    const ask = (origin: string, method = "POST") =>
      shop.post(
        place,
        method === "POST" ? order : undefined,
        { origin, "access-control-request-method": "POST" },
        { method }
      )
    const preflight = await ask("https://shop.example", "OPTIONS")
    assert.strictEqual(preflight.headers.get("access-control-allow-origin"), "https://shop.example")
    assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /authorization.*idempotency-key.*ce-time/)
    const answer = await ask("https://shop.example")
    assert.strictEqual(answer.headers.get("access-control-allow-origin"), "https://shop.example")
    assert.match(answer.headers.get("access-control-expose-headers") ?? "", /troupe-message-id.*ce-subject/)
    for (const method of ["OPTIONS", "POST"])
      assert.isNull((await ask("https://evil.example", method)).headers.get("access-control-allow-origin"))
    assert.strictEqual(answer.headers.get("vary"), "origin")
  })
})

describe("a gateway itself", () => {
  it("says that it lives, and counts what it did for who may see it", async () => {
    await using shop = await gateway()
    assert.strictEqual((await shop.fetch(new Request("http://h/livez"))).status, 200)
    assert.strictEqual((await shop.fetch(new Request("http://h/readyz"))).status, 200)
    assert.strictEqual((await shop.fetch(new Request("http://h/metrics"))).status, 401)
    await shop.post(place, order)
    const metrics = await shop.post("/metrics", undefined, {}, { method: "GET" })
    assert.match(await metrics.text(), /troupe_gateway_requests\{[^}]*to="shop\.Order\.place"[^}]*\} \d/)
  })

  it("logs a line for each request, which is bounded and has no line break", async () => {
    await using shop = await gateway()
    const log = vi.mocked(console.log)
    log.mockClear()
    await shop.post(`/v1/${"x".repeat(10_000)}`, order)
    await shop.post(`/v1/shop/Order/${encodeURIComponent("a\r\nb")}/place`, order)
    const lines = log.mock.calls.map((said) => said.join(" "))
    assert.lengthOf(lines, 2)
    for (const line of lines) assert.isTrue(line.length < 450 && !line.includes("\n"), line)
    assert.match(lines[1] ?? "", /POST \/v1\/shop\/Order\/a%0D%0Ab\/place 200 \d+\.\d ms/)
  })

  it("does not start with a contract that has a pattern which could stop it", async () => {
    class Slow extends Contract.actor({
      key: Schema.String,
      commands: { say: Contract.command({ payload: { words: Schema.String.check(Schema.isPattern(/^(\w+ ?)*$/)) } }) }
    }) {}
    await using slow = await gateway({ contracts: [Contract.make("slow", { Slow })] })
    const error = await slow.fetch(new Request("http://h/livez")).catch((error: unknown) => error)
    assert.match(String((error as Error).message), /^TRP0108 .* · slow\.Slow\.say: payload · /)
  })

  it("refuses to be declared wrongly", () => {
    for (const options of [
      { name: "No" },
      { contracts: [Shop, Shop] },
      { limits: { body: 0 } },
      { limits: { rate: { burst: Number.NaN, perSecond: 1 } } },
      { url: "shop.example" },
      { url: "javascript:1" },
      { origins: ["*"] },
      { origins: ["https://shop.example/"] }
    ])
      assert.throws(() => Gateway.make({ contracts: [Shop], ...options }), TypeError)
  })

  it("that could not start does with a later request, and says 503 until then", async () => {
    let starts = 0
    let ends = 0
    const away = new ClientError({ to: "nats", reason: new NotConnected({ detail: "10.0.0.7" }) })
    const flaky = Layer.unwrap(
      Effect.gen(function* () {
        yield* Effect.addFinalizer(() => Effect.sync(() => void ends++))
        yield* Effect.yieldNow
        return ++starts < 3 ? Layer.effect(Client, Effect.fail(away)) : client([], () => Effect.succeed({ cents: 7 }))
      })
    )
    const { dispose, fetch } = toWebHandler(Gateway.make({ contracts: [Shop], auth, origins: ["https://a.b"] }), flaky)
    const get = () => fetch(new Request("http://h/readyz", { headers: { origin: "https://a.b" } }))
    const [first, second, third] = await Promise.all([get(), get(), get()])
    for (const answer of [first, second, third]) {
      assert.isTrue(answer.headers.has("retry-after"))
      assert.strictEqual(answer.headers.get("access-control-allow-origin"), "https://a.b")
      assert.notInclude(await answer.clone().text(), "10.0.0.7")
      assert.deepStrictEqual(await refused(Promise.resolve(answer)), [503, "TRP0709"])
    }
    assert.deepStrictEqual([starts, ends], [1, 1], "what had begun was ended")
    assert.deepStrictEqual(await refused(get()), [503, "TRP0709"])
    assert.deepStrictEqual([(await get()).status, (await get()).status, starts], [200, 200, 3])
    await dispose()
    assert.strictEqual(ends, 3)
  })

  it("does not start without a secret for the ids of requests, or with a short one", async () => {
    const jwks = { keys: [] }
    for (const [auth, options, why] of [
      [{ jwks }, {}, "there is none"],
      [{ jwks }, { idSecret: "short" }, "it has 5 bytes"],
      ["none", { idSecret: "short" }, "it has 5 bytes"]
    ] as const) {
      const { fetch } = toWebHandler(
        Gateway.make({ contracts: [Shop], auth: auth as never, ...options }),
        client([], () => Effect.void)
      )
      const error = await fetch(new Request("http://h/livez")).catch((error: unknown) => error)
      assert.match(String((error as Error).message), new RegExp(`^TRP0219 .* · idSecret · ${why} · `))
    }
  })

  it("does not start when nothing says whose tokens it takes", async () => {
    for (const auth of [undefined, { secret: "short" }]) {
      const declared = Gateway.make({ contracts: [Shop], ...(auth === undefined ? {} : { auth }) })
      const { fetch } = toWebHandler(
        declared,
        client([], () => Effect.void)
      )
      const error = await fetch(new Request("http://h/livez")).catch((error: unknown) => error)
      assert.match(String((error as Error).message), /^TRP0711 /)
    }
  })
})
