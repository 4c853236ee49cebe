import { request } from "node:http"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Endpoints from "../src/Endpoints.ts"

it.live("started is who was ready once, whether anybody looked or not; alive and ready change", () =>
  Effect.gen(function* () {
    let ready = false
    let looks = 0
    const health = Effect.sync(() => {
      looks++
      return { ready, live: !ready, consumers: [], trouble: [] }
    })
    const metrics = Effect.succeed("a_total 1\n")
    const url = yield* Endpoints.serve("shop", { health, metrics }, { host: "127.0.0.1", port: 0 })
    const get = (path: string) => Effect.promise(() => fetch(`${url}${path}`))
    const statuses = Effect.all([
      Effect.map(get("/livez"), ({ status }) => status),
      Effect.map(get("/readyz"), ({ status }) => status),
      Effect.map(get("/startupz"), ({ status }) => status)
    ])
    assert.deepStrictEqual(yield* statuses, [200, 503, 503])
    ready = true
    const before = looks
    yield* Effect.repeat(
      Effect.promise(() => new Promise(setImmediate)),
      { until: () => looks > before }
    )
    ready = false
    assert.deepStrictEqual(yield* statuses, [200, 503, 200])
    ready = true
    assert.deepStrictEqual(yield* statuses, [503, 200, 200])
    const answer = yield* get("/metrics")
    assert.strictEqual(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8")
    assert.strictEqual(yield* Effect.promise(() => answer.text()), "a_total 1\n")
  }).pipe(Effect.scoped)
)

it.live("shows no control or format characters of others, and the same value in JSON", () =>
  Effect.gen(function* () {
    const trouble = ["orders.Order: \u001b[31m\u202ereversed\u2028forged"]
    const health = Effect.succeed({ ready: false, live: true, consumers: [], trouble })
    const url = yield* Endpoints.serve("shop", { health, metrics: Effect.succeed("") }, { host: "127.0.0.1", port: 0 })
    const text = yield* Effect.promise(async () => (await fetch(`${url}/readyz`)).text())
    assert.notMatch(text, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    assert.deepStrictEqual(JSON.parse(text), { service: "shop", ok: false, consumers: [], trouble })
  }).pipe(Effect.scoped)
)

/** The status of an answer to a request with these headers, which `fetch` may not set. */
const asked = (url: string, headers: Record<string, string>) =>
  Effect.callback<number>((resume) => {
    request(url, { headers }, (answer) => {
      answer.resume()
      resume(Effect.succeed(answer.statusCode ?? 0))
    }).end()
  })

it.live("on loopback, they answer programs of this machine alone, and no page of another site anywhere", () =>
  Effect.gen(function* () {
    const health = Effect.succeed({ ready: true, live: true, consumers: [], trouble: [] })
    const serve = (host: string) => Endpoints.serve("shop", { health, metrics: Effect.succeed("") }, { host, port: 0 })
    const local = yield* serve("127.0.0.1")
    const everywhere = (yield* serve("0.0.0.0")).replace("0.0.0.0", "127.0.0.1")
    for (const path of ["/livez", "/readyz", "/startupz", "/metrics", "/none"]) {
      const status = path === "/none" ? 404 : 200
      for (const host of ["localhost", "127.0.0.1:1", "[::1]:1"])
        assert.strictEqual(yield* asked(local + path, { host }), status, host)
      for (const host of ["evil.example", "127.0.0.1.evil.example:1", "a b"])
        assert.strictEqual(yield* asked(local + path, { host }), 403, host)
      assert.strictEqual(yield* asked(everywhere + path, { host: "10.1.2.3:4100" }), status)
      for (const url of [local, everywhere]) {
        assert.strictEqual(yield* asked(url + path, { origin: "https://evil.example" }), 403)
        assert.strictEqual(yield* asked(url + path, { "sec-fetch-site": "cross-site" }), 403)
      }
    }
  }).pipe(Effect.scoped)
)
