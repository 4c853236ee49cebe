import { once } from "node:events"
import { createServer } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { readFileSync } from "node:fs"
import { assert, layer } from "@effect/vitest"
import { Consistency } from "@troupe/contract"
import { until } from "@troupe/test-world"
import * as Effect from "effect/Effect"
import { curl, token, World } from "./src/world.ts"

const order = JSON.stringify({ customer: "ada", lines: [{ sku: "tea", quantity: 2, cents: 450 }] })

/** The arguments of curl that place an order. */
const placing = (
  url: string,
  id: string,
  bearer: string,
  key: string,
  body = order,
  ...more: ReadonlyArray<string>
) => [
  "--json",
  body,
  "-H",
  `Authorization: Bearer ${bearer}`,
  "-H",
  `Idempotency-Key: ${key}`,
  ...more,
  `${url}/v1/orders/Order/${id}/place`
]

/** That nats-server refused nobody what his code does. */
const allowed = Effect.map(World, ({ nats }) => assert.notMatch(readFileSync(nats.log, "utf8"), /violation/i))

layer(World.layer, { excludeTestServices: true, timeout: 60_000 })("a gateway", (it) => {
  const placed = (id: string) => Effect.flatMap(World, (world) => world.placed(id))
  const bearer = (sub = "ada") => Effect.promise(() => token(sub, "send:orders.Order.*"))

  it.effect("places an order for curl; the same Idempotency-Key again has the same receipt, and one order exists", () =>
    Effect.gen(function* () {
      const world = yield* World
      yield* world.orders
      const { url } = yield* world.gateway()
      const ada = yield* bearer()
      const first = yield* Effect.promise(() => curl(...placing(url, "o-1", ada, "k-1")))
      assert.deepStrictEqual([first.status, first.body], [200, '{"cents":900}'])
      const again = yield* Effect.promise(() => curl(...placing(url, "o-1", ada, "k-1")))
      assert.deepStrictEqual([again.status, again.body], [200, '{"cents":900}'])
      const idOf = (headers: string) => /troupe-message-id: (\S+)/i.exec(headers)?.[1]
      assert.isDefined(idOf(first.headers))
      assert.strictEqual(idOf(again.headers), idOf(first.headers))
      const tokenOf = (headers: string) => /troupe-consistency: (\S+)/i.exec(headers)?.[1] ?? "none"
      assert.deepInclude(Consistency.parse(tokenOf(first.headers)), { service: "orders", actor: "Order", key: "o-1" })
      assert.strictEqual(tokenOf(again.headers), tokenOf(first.headers))
      assert.strictEqual(yield* placed("o-1"), 1)

      const other = yield* Effect.promise(() => curl(...placing(url, "o-1", ada, "k-1", order.replace("ada", "eve"))))
      assert.strictEqual(other.status, 422)
      assert.strictEqual(JSON.parse(other.body).code, "TRP0206")

      // The same key of another principal is another key: that order is placed already.
      const eve = yield* bearer("eve")
      const taken = yield* Effect.promise(() => curl(...placing(url, "o-1", eve, "k-1")))
      assert.strictEqual(taken.status, 422)
      assert.deepStrictEqual(JSON.parse(taken.body).error, { _tag: "AlreadyPlaced" })

      // And of another order it is another message, which the stream would else take for a repetition.
      const async = yield* Effect.promise(() =>
        curl(...placing(url, "o-2", ada, "k-1", order, "-H", "Prefer: respond-async"))
      )
      assert.strictEqual(async.status, 202)
      assert.match(async.headers, /preference-applied: respond-async/i)
      assert.strictEqual(yield* placed("o-2"), 1)
      const result = yield* Effect.promise(() => curl(...placing(url, "o-2", ada, "k-1")))
      assert.deepStrictEqual([result.status, result.body], [200, '{"cents":900}'])
      assert.include(async.body, idOf(result.headers) ?? "no id")

      const many = yield* Effect.promise(() =>
        Promise.all(Array.from({ length: 8 }, () => curl(...placing(url, "o-3", ada, "k-1"))))
      )
      for (const { body, status } of many) assert.deepStrictEqual([status, body], [200, '{"cents":900}'])
      assert.strictEqual(yield* placed("o-3"), 1)
      yield* allowed
    })
  )

  it.effect("that is killed in the middle of a request has it handled once, when it is sent again with its key", () =>
    Effect.gen(function* () {
      const world = yield* World
      const ada = yield* bearer()
      // Nobody handles it for the moment: the streams are there from before.
      const before = yield* world.commands
      const gateway = yield* world.gateway()
      const first = curl(...placing(gateway.url, "o-4", ada, "k-4", order, "-H", "Prefer: wait=30"))
      yield* world.stored(before + 1)
      gateway.kill("SIGKILL")
      assert.strictEqual((yield* Effect.promise(() => first)).status, 0, "the request was lost")
      const next = yield* world.gateway(new URL(gateway.url).port)
      const again = curl(...placing(next.url, "o-4", ada, "k-4", order, "-H", "Prefer: wait=30"))
      yield* world.orders
      const { body, status } = yield* Effect.promise(() => again)
      assert.deepStrictEqual([status, body], [200, '{"cents":900}'])
      assert.strictEqual(yield* placed("o-4"), 1)
    })
  )

  it.effect("that gets SIGTERM takes nothing new, answers what is under way, and exits with 0", () =>
    Effect.gen(function* () {
      const world = yield* World
      const ada = yield* bearer()
      const before = yield* world.commands
      const gateway = yield* world.gateway()
      const first = curl(...placing(gateway.url, "o-5", ada, "k-5", order, "-H", "Prefer: wait=30"))
      yield* world.stored(before + 1)
      gateway.kill("SIGTERM")
      yield* until(
        () => curl(`${gateway.url}/livez`),
        ({ status }) => status === 0
      )
      yield* world.orders
      const { body, headers, status } = yield* Effect.promise(() => first)
      assert.deepStrictEqual([status, body], [200, '{"cents":900}'])
      assert.match(headers, /connection: close/i)
      assert.strictEqual(yield* gateway.ended, 0)
    })
  )

  it.effect("exports its part of a trace that begins with the caller", () =>
    Effect.gen(function* () {
      const world = yield* World
      interface Span {
        readonly name: string
        readonly traceId: string
        readonly parentSpanId: string
      }
      const spans: Array<Span> = []
      const collector = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const server = createServer(async (request, response) => {
            const { resourceSpans } = JSON.parse(Buffer.concat(await request.toArray()).toString()) as {
              readonly resourceSpans: ReadonlyArray<{
                readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Span> }>
              }>
            }
            spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)))
            response.end("{}")
          }).listen(0, "127.0.0.1")
          await once(server, "listening")
          return server
        }),
        (server) => Effect.sync(() => server.close().closeAllConnections())
      )
      const gateway = yield* world.gateway("0", {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json"
      })
      yield* world.orders
      const ada = yield* bearer()
      const parent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`
      const { status } = yield* Effect.promise(() =>
        curl(...placing(gateway.url, "o-9", ada, "k-9", order, "-H", `traceparent: ${parent}`))
      )
      assert.strictEqual(status, 200)
      gateway.kill("SIGTERM")
      assert.strictEqual(yield* gateway.ended, 0)
      const span = spans.find(({ name }) => name === "ask orders.Order.place")
      assert.deepInclude(span, { traceId: "a".repeat(32), parentSpanId: "b".repeat(16) })
    })
  )

  it.effect("tells 504 when nobody answers in time, and that the same key is safe", () =>
    Effect.gen(function* () {
      const world = yield* World
      const ada = yield* bearer()
      const { url } = yield* world.gateway()
      const late = yield* Effect.promise(() => curl(...placing(url, "o-6", ada, "k-6", order, "-H", "Prefer: wait=1")))
      assert.strictEqual(late.status, 504)
      assert.include(late.body, "same Idempotency-Key is safe")
      yield* world.orders
      // Its time was over before anybody handled it: so it never will be.
      const again = yield* Effect.promise(() => curl(...placing(url, "o-6", ada, "k-6")))
      assert.deepStrictEqual([again.status, JSON.parse(again.body).code], [409, "TRP0212"])
    })
  )

  it.effect("is not ready, and says so, while there is no nats-server; then it goes on by itself", () =>
    Effect.gen(function* () {
      const world = yield* World
      yield* world.orders
      const { url } = yield* world.gateway()
      const ready = (wanted: number) =>
        until(
          () => curl(`${url}/readyz`),
          ({ status }) => status === wanted
        )
      yield* ready(200)
      yield* world.nats.kill("SIGKILL")
      yield* ready(503)
      const ada = yield* bearer()
      const lost = yield* Effect.promise(() => curl(...placing(url, "o-8", ada, "k-8", order, "-H", "Prefer: wait=1")))
      assert.deepStrictEqual([lost.status, JSON.parse(lost.body).code], [503, "TRP0709"])
      assert.match(lost.headers, /retry-after: \d/i)
      yield* world.nats.restart
      yield* ready(200)
      const again = yield* Effect.promise(() =>
        curl(...placing(url, "o-8", ada, "k-8", order, "-H", "Prefer: wait=30"))
      )
      assert.deepStrictEqual([again.status, again.body], [200, '{"cents":900}'])
    })
  )

  it.effect("refuses who may not, what is too large and what is no HTTP, each with its status", () =>
    Effect.gen(function* () {
      const world = yield* World
      const { url } = yield* world.gateway()
      const got = (args: ReadonlyArray<string>) =>
        Effect.map(
          Effect.promise(() => curl(...args)),
          (got) => got
        )
      const tokens = {
        expired: yield* Effect.promise(() => token("ada", "send:orders.*", -60)),
        forged: yield* Effect.promise(() => token("ada", "send:orders.*", 60, "another secret, of thirty-two bytes")),
        narrow: yield* Effect.promise(() => token("ada", "send:orders.Order.cancel send:payments.* hear:orders"))
      }
      const expired = yield* got(placing(url, "o-7", tokens.expired, "k"))
      assert.strictEqual(expired.status, 401)
      assert.match(
        expired.headers,
        /www-authenticate: Bearer .*error="invalid_token", error_description="it has expired"/i
      )
      assert.strictEqual((yield* got(placing(url, "o-7", tokens.forged, "k"))).status, 401)
      assert.strictEqual((yield* got(placing(url, "o-7", "nonsense", "k"))).status, 401)
      const narrow = yield* got(placing(url, "o-7", tokens.narrow, "k"))
      assert.strictEqual(narrow.status, 403)
      assert.match(narrow.headers, /error="insufficient_scope", scope="send:orders.Order.place"/)
      const ada = yield* bearer()
      assert.strictEqual((yield* got([`${url}/livez`, "-H", `X-Long: ${"y".repeat(20_000)}`])).status, 431)

      const raw = (text: string) =>
        Effect.promise(async () => {
          const { hostname, port } = new URL(url)
          const socket = connect(Number(port), hostname).setEncoding("latin1")
          let said = ""
          socket.on("data", (data: string) => (said += data))
          socket.write(text)
          await once(socket, "close")
          return said.split("\r\n", 1)[0]
        })
      const end = "Host: h\r\nConnection: close\r\n\r\n"
      assert.strictEqual(yield* raw("nonsense\r\n\r\n"), "HTTP/1.1 400 Bad Request")
      assert.strictEqual(yield* raw(`OPTIONS * HTTP/1.1\r\n${end}`), "HTTP/1.1 400 Bad Request")
      assert.strictEqual(yield* raw(`TRACE /livez HTTP/1.1\r\n${end}`), "HTTP/1.1 400 Bad Request")
      assert.strictEqual(yield* raw(`GET //x/../livez HTTP/1.1\r\n${end}`), "HTTP/1.1 404 Not Found")
      assert.strictEqual(yield* raw(`GET http://a@h/livez HTTP/1.1\r\n${end}`), "HTTP/1.1 400 Bad Request")
      assert.strictEqual(
        yield* raw(`GET /livez HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n`),
        "HTTP/1.1 400 Bad Request"
      )
      // A body that is longer than allowed, and never ends.
      const endless = `POST /v1/orders/Order/o/place HTTP/1.1\r\nAuthorization: Bearer ${ada}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n${end}`
      assert.strictEqual(
        yield* raw(`${endless}${`10000\r\n${" ".repeat(65_536)}\r\n`.repeat(17)}`),
        "HTTP/1.1 413 Payload Too Large"
      )
      assert.strictEqual((yield* got([`${url}/livez`])).status, 200, "and it still lives")
    })
  )
})
