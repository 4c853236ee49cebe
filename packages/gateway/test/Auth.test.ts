import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, beforeAll, describe, it, vi } from "@effect/vitest"
import { Gateway, toWebHandler, type Auth } from "@troupe/gateway"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { exportJWK, generateKeyPair, SignJWT } from "jose"
import { auth, client, gateway, idSecret, Shop, token } from "./shop.ts"

beforeAll(() => void vi.spyOn(console, "log").mockReturnValue())

const place = "/v1/shop/Order/o-1/place"
const order = JSON.stringify({ cents: 7 })

describe("a token", () => {
  it("that is absent, expired, forged or for somebody else is 401, and says why", async () => {
    await using shop = await gateway()
    const challenge = async (authorization: string | undefined) => {
      const headers = { "content-type": "application/json", ...(authorization === undefined ? {} : { authorization }) }
      const answer = await shop.fetch(new Request(`http://h${place}`, { method: "POST", headers, body: order }))
      assert.strictEqual(answer.status, 401)
      assert.strictEqual(((await answer.json()) as { code: string }).code, "TRP0706")
      return answer.headers.get("www-authenticate")
    }
    const invalid = (why: string) => `Bearer realm="troupe", error="invalid_token", error_description="${why}"`
    const ada = (change: Parameters<typeof token>[2]) => token("ada", "send:*", change).then((text) => `Bearer ${text}`)
    assert.strictEqual(await challenge(undefined), 'Bearer realm="troupe"')
    assert.strictEqual(await challenge("Basic YTpi"), invalid("there is no bearer token"))
    assert.strictEqual(await challenge("Bearer a b"), invalid("there is no bearer token"))
    assert.strictEqual(await challenge("Bearer nonsense"), invalid("it is not valid"))
    assert.strictEqual(await challenge(await ada({ exp: -60 })), invalid("it has expired"))
    assert.strictEqual(
      await challenge(await ada({ secret: "another secret of thirty-two bytes" })),
      invalid("it is not valid")
    )
    assert.strictEqual(
      await challenge(await ada({ issuer: "me" })),
      invalid("its iss is missing or not what it must be")
    )
    assert.strictEqual(
      await challenge(await ada({ audience: "me" })),
      invalid("its aud is missing or not what it must be")
    )
    const unsigned = `${btoa('{"alg":"none"}')}.${btoa('{"sub":"ada","exp":9999999999,"scope":"send:*"}')}.`
    assert.strictEqual(await challenge(`Bearer ${unsigned.replaceAll("=", "")}`), invalid("it is not valid"))
    const key = new TextEncoder().encode(auth.secret)
    for (const sub of [null, 7, { a: 1 }, [], "", "x".repeat(256)]) {
      const text = await new SignJWT({ scope: "send:*", sub: sub as string })
        .setProtectedHeader({ alg: "HS256" })
        .setIssuer(auth.issuer)
        .setAudience(auth.audience)
        .setExpirationTime("1m")
        .sign(key)
      const why = invalid("its sub is no text of 1 to 255 characters")
      assert.strictEqual(await challenge(`Bearer ${text}`), why, JSON.stringify(sub))
    }
    const nobody = await new SignJWT({})
      .setProtectedHeader({ alg: "HS256" })
      .setIssuer(auth.issuer)
      .setAudience(auth.audience)
      .setExpirationTime("1m")
      .sign(key)
    assert.strictEqual(await challenge(`Bearer ${nobody}`), invalid("its sub is missing or not what it must be"))
    const always = await new SignJWT({})
      .setProtectedHeader({ alg: "HS256" })
      .setIssuer(auth.issuer)
      .setAudience(auth.audience)
      .setSubject("ada")
      .sign(key)
    assert.strictEqual(await challenge(`Bearer ${always}`), invalid("its exp is missing or not what it must be"))
    assert.lengthOf(shop.asked, 0)
  })

  it("is of another principal where it is of another issuer: they share no idempotency keys and no rates", async () => {
    const { issuer: _, ...any } = auth
    await using shop = await gateway({ auth: any, limits: { rate: { burst: 1, perSecond: 0.001 } } })
    const send = async (issuer: string) => {
      const authorization = `Bearer ${await token("ada", "send:*", { issuer })}`
      return (await shop.post(place, order, { authorization, "idempotency-key": "order-1" })).status
    }
    assert.deepStrictEqual([await send("https://a.example"), await send("https://a.example")], [200, 429])
    assert.strictEqual(await send("https://b.example"), 200)
    const [a, b] = shop.asked
    assert.isDefined(a)
    assert.notStrictEqual(a?.id, b?.id)
  })

  it("permits what its scopes say, and nothing else", async () => {
    await using shop = await gateway()
    const send = async (scope: string) => {
      const answer = await shop.post(place, order, { authorization: `Bearer ${await token("ada", scope)}` })
      if (answer.status === 403)
        assert.strictEqual(
          answer.headers.get("www-authenticate"),
          'Bearer realm="troupe", error="insufficient_scope", scope="send:shop.Order.place"'
        )
      return answer.status
    }
    for (const scope of ["send:shop.Order.place", "openid send:shop.Order.* email", "send:shop.*", "send:*"])
      assert.strictEqual(await send(scope), 200, scope)
    for (const scope of [
      "",
      "send:shop",
      "send:shop.Order",
      "send:shop.Order.clear",
      "send:shop.Shelf.*",
      "send:other.*",
      "hear:*",
      "send:",
      "SEND:*",
      "xsend:*"
    ])
      assert.strictEqual(await send(scope), 403, scope)
  })

  it("permits what `permissions` makes of its claims", async () => {
    const permissions = ({ role }: { readonly [claim: string]: unknown }) =>
      role === "clerk" ? ["send:shop.Order.*"] : []
    await using shop = await gateway({ auth: { ...auth, permissions } })
    const as = async (role: string) => {
      const key = new TextEncoder().encode(auth.secret)
      const text = await new SignJWT({ role, scope: "send:*" })
        .setProtectedHeader({ alg: "HS256" })
        .setSubject("ada")
        .setIssuer(auth.issuer)
        .setAudience(auth.audience)
        .setExpirationTime("1m")
        .sign(key)
      return (await shop.post(place, order, { authorization: `Bearer ${text}` })).status
    }
    assert.deepStrictEqual([await as("clerk"), await as("guest")], [200, 403])
  })
})

describe("keys", () => {
  const status = async (keys: Auth, bearer: string) => {
    const { dispose, fetch } = toWebHandler(
      Gateway.make({ contracts: [Shop], auth: keys, idSecret }),
      client([], () => Effect.succeed({ cents: 7 }))
    )
    const headers = { authorization: `Bearer ${bearer}`, "content-type": "application/json" }
    const answer = await fetch(new Request(`http://h${place}`, { method: "POST", headers, body: order }))
    await dispose()
    return answer.status
  }
  const signed = (alg: string, key: Parameters<SignJWT["sign"]>[0], kid = "1") =>
    new SignJWT({ scope: "send:*" })
      .setProtectedHeader({ alg, kid })
      .setSubject("ada")
      .setExpirationTime("1m")
      .sign(key)

  it("of a set are asymmetric; a public one signs nothing", async () => {
    const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), kid: "1" }
    const good = await signed("ES256", privateKey)
    assert.strictEqual(await status({ jwks: { keys: [jwk] } }, good), 200)
    const forged = await signed("HS256", new TextEncoder().encode(JSON.stringify(jwk)))
    assert.strictEqual(await status({ jwks: { keys: [jwk] } }, forged), 401)
    const secret = new TextEncoder().encode("secret secret secret secret secr")
    const shared = { kty: "oct", k: btoa("secret secret secret secret secr").replaceAll("=", ""), kid: "1" }
    assert.strictEqual(await status({ jwks: { keys: [shared] } }, await signed("HS256", secret)), 401)
  })

  it("of an address are fetched once, not for each token that names another", async () => {
    const pairs = await Promise.all(["1", "2"].map(() => generateKeyPair("RS256", { extractable: true })))
    const keys = await Promise.all(
      pairs.map(async ({ publicKey }, i) => ({ ...(await exportJWK(publicKey)), kid: `${i + 1}` }))
    )
    let fetched = 0
    const server = createServer((_, response) => {
      fetched++
      response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: keys.slice(0, 1) }))
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`
    await using shop = await gateway({ auth: { jwksUrl }, idSecret })
    const send = async (pair: number, kid: string) => {
      const bearer = await signed("RS256", pairs[pair]!.privateKey, kid)
      return (await shop.post(place, order, { authorization: `Bearer ${bearer}` })).status
    }
    assert.deepStrictEqual([await send(0, "1"), await send(0, "1"), fetched], [200, 200, 1])
    assert.deepStrictEqual([await send(1, "1"), await send(1, "2")], [401, 401])
    // Not for each of them: an unknown key makes it look again after half a minute at the earliest.
    assert.strictEqual(fetched, 1)
    server.close().closeAllConnections()
  })

  it("that cannot be had are 503: the token may be right", async () => {
    const { privateKey } = await generateKeyPair("ES256")
    assert.strictEqual(
      await status({ jwksUrl: "http://127.0.0.1:2/jwks.json" }, await signed("ES256", privateKey)),
      503
    )
  })

  it("that cannot be had are asked for once a second, and had when they are there", async () => {
    const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true })
    const set = { keys: [{ ...(await exportJWK(publicKey)), kid: "1" }] }
    const answers: ReadonlyArray<readonly [number, object]> = [
      [200, {}],
      [500, set],
      [200, set]
    ]
    let fetched = 0
    const server = createServer((_, response) => {
      const [status, body] = answers[fetched++] ?? [404, {}]
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    await using shop = await gateway({
      auth: { jwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json` },
      idSecret
    })
    const clock = vi.spyOn(performance, "now")
    const bearer = await signed("ES256", privateKey)
    const send = async (ms: number) => {
      clock.mockReturnValue(ms)
      return (await shop.post(place, order, { authorization: `Bearer ${bearer}` })).status
    }
    assert.deepStrictEqual([await send(0), await send(999), fetched], [503, 503, 1])
    assert.deepStrictEqual([await send(1_000), await send(1_999), fetched], [503, 503, 2])
    assert.deepStrictEqual([await send(2_000), await send(2_001), fetched], [200, 200, 3])
    clock.mockRestore()
    server.close().closeAllConnections()
  })

  it("of more than 256 KiB, or of more JSON than a set has, are not read to their end, and the log says so once", async () => {
    const log = vi.spyOn(console, "log").mockReturnValue()
    const lines = (text: string) => log.mock.calls.filter((call) => call.join(" ").includes(text)).length
    log.mockClear()
    const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true })
    const key = { ...(await exportJWK(publicKey)), kid: "1" }
    const bare = JSON.stringify({ keys: [key], more: "" }).length
    const sets = [
      { keys: [key], more: "x".repeat(262_145 - bare) },
      { keys: [key], more: Array.from({ length: 10_000 }, () => 0) },
      { keys: [key], more: JSON.parse("[".repeat(20) + "]".repeat(20)) as unknown },
      { keys: [key], more: "x".repeat(262_144 - bare) }
    ]
    let fetched = 0
    let sent = 0
    const cut = Promise.withResolvers<void>()
    const server = createServer((_, response) => {
      const set = sets[fetched++ - 1]
      response.setHeader("content-type", "application/json")
      if (set !== undefined) return void response.end(JSON.stringify(set))
      const more = () => {
        do sent += 65_536
        while (response.write(" ".repeat(65_536)) && sent < 100_000_000)
      }
      response.on("drain", more).on("close", () => cut.resolve())
      more()
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json?code=secret`
    await using shop = await gateway({ auth: { jwksUrl }, idSecret })
    const clock = vi.spyOn(performance, "now")
    const bearer = await signed("ES256", privateKey)
    const send = async (ms: number) => {
      clock.mockReturnValue(ms)
      return (await shop.post(place, order, { authorization: `Bearer ${bearer}` })).status
    }
    assert.strictEqual(await send(0), 503)
    await cut.promise
    assert.isBelow(sent, 50_000_000, "an endless one is cut off")
    assert.deepStrictEqual([await send(1_000), await send(2_000), await send(3_000)], [503, 503, 503])
    assert.strictEqual(lines("TRP0712"), 1)
    assert.strictEqual(await send(4_000), 200)
    assert.deepStrictEqual([fetched, lines("there again"), lines("code=secret")], [5, 1, 0])
    clock.mockRestore()
    server.close().closeAllConnections()
  })

  it("that are new are found, and old ones forgotten, though the clock was an hour ahead when they were fetched", async () => {
    const pairs = await Promise.all([1, 2].map(() => generateKeyPair("ES256", { extractable: true })))
    const keys = await Promise.all(
      pairs.map(async ({ publicKey }, i) => ({ ...(await exportJWK(publicKey)), kid: String(i) }))
    )
    let there = keys.slice(0, 1)
    const server = createServer((_, response) => {
      response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: there }))
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    await using shop = await gateway({
      auth: { jwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json` },
      idSecret
    })
    const clock = vi.spyOn(performance, "now")
    const send = async (key: 0 | 1, ms: number) => {
      clock.mockReturnValue(ms)
      const bearer = await signed("ES256", pairs[key]!.privateKey, String(key))
      return (await shop.post(place, order, { authorization: `Bearer ${bearer}` })).status
    }
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 })
    assert.strictEqual(await send(0, 0), 200)
    vi.useRealTimers()
    there = keys
    assert.deepStrictEqual([await send(1, 29_999), await send(1, 30_000)], [401, 200])
    there = keys.slice(1)
    assert.deepStrictEqual([await send(0, 629_999), await send(0, 630_000)], [200, 401])
    clock.mockRestore()
    server.close().closeAllConnections()
  })

  it("that are none are told when it starts", async () => {
    for (const keys of [{ jwksUrl: "foo" }, { jwksUrl: "file:///keys" }, { jwks: {} as { keys: [] } }]) {
      const declared = Gateway.make({ contracts: [Shop], auth: keys })
      const { fetch } = toWebHandler(
        declared,
        client([], () => Effect.void)
      )
      const error = await fetch(new Request("http://h/livez")).catch((error: unknown) => error)
      assert.match(String((error as Error).message), /^TRP0711 /)
    }
  })
})

describe("without tokens", () => {
  it("only programs of this machine are served, and no pages of others", async () => {
    const { dispose, fetch } = toWebHandler(
      Gateway.make({ contracts: [Shop], auth: "none" }),
      client([], () => Effect.succeed({ cents: 7 }))
    )
    const status = async (host: string, headers: Record<string, string> = {}) =>
      (
        await fetch(
          new Request(`http://${host}${place}`, {
            method: "POST",
            body: order,
            headers: { "content-type": "application/json", ...headers }
          })
        )
      ).status
    for (const host of ["localhost:1", "127.0.0.1:1", "[::1]:1"]) {
      assert.strictEqual(await status(host), 200)
      assert.strictEqual(await status(host, { origin: `http://${host}` }), 200)
      assert.strictEqual(await status(host, { origin: "https://evil.example" }), 403)
      assert.strictEqual(await status(host, { origin: "null" }), 403)
    }
    assert.strictEqual(await status("evil.example:1", { origin: "http://evil.example:1" }), 403)
    for (const path of ["/", "/openapi.json", "/asyncapi.json"]) {
      assert.strictEqual((await fetch(new Request(`http://evil.example:1${path}`))).status, 403)
      assert.strictEqual((await fetch(new Request(`http://localhost:1${path}`))).status, 200)
    }
    await dispose()
  })

  it("nothing is served to a page of another site: neither event streams, metrics and health, nor documents", async () => {
    let streams = 0
    const heard = Effect.sync(() => void streams++)
    const { dispose, fetch } = toWebHandler(
      Gateway.make({ contracts: [Shop], auth: "none" }),
      client(
        [],
        () => Effect.void,
        (_, { onOpen }) => Stream.fromEffectDrain(Effect.tap(heard, () => Effect.sync(() => onOpen?.("shop.0"))))
      )
    )
    const status = async (url: string, headers: Record<string, string> = {}) => {
      const answer = await fetch(new Request(url, { headers }))
      const text = await answer.text()
      if (answer.status === 403) assert.strictEqual(JSON.parse(text).code, "TRP0717")
      return answer.status
    }
    const paths = ["/v1/shop/events", "/metrics", "/livez", "/readyz", "/", "/openapi.json", "/asyncapi.json"]
    for (const path of paths) {
      assert.strictEqual(await status(`http://evil.example:1${path}`), 403, path)
      // A browser sends no Origin for an image, a script or a link.
      for (const site of ["cross-site", "same-site"])
        for (const mode of ["no-cors", "cors"]) {
          const headers = { "sec-fetch-site": site, "sec-fetch-mode": mode, accept: "text/event-stream" }
          assert.strictEqual(await status(`http://localhost:1${path}`, headers), 403, path)
        }
    }
    assert.strictEqual(streams, 0)
    const linked = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }
    assert.strictEqual(await status("http://localhost:1/", linked), 200, "a link to the page of the contracts")
    assert.strictEqual(await status("http://localhost:1/v1/shop/events", linked), 403)
    for (const path of paths)
      for (const headers of [{}, { "sec-fetch-site": "none" }, { "sec-fetch-site": "same-origin" }])
        assert.strictEqual(await status(`http://localhost:1${path}`, headers as Record<string, string>), 200, path)
    assert.strictEqual(streams, 3)
    await dispose()
  })
})
