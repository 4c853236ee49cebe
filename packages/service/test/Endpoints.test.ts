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
