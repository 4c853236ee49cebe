import { once } from "node:events"
import { ServerResponse } from "node:http"
import { connect } from "node:net"
import { assert, beforeAll, describe, it, vi } from "@effect/vitest"
import { Gateway } from "@troupe/gateway"
import { serve } from "@troupe/gateway/node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { auth, client, Shop, token } from "./shop.ts"

beforeAll(() => void vi.spyOn(console, "log").mockReturnValue())

/** A gateway that listens, over a client without a server; `say` sends bytes on one connection. */
const listening = async (options: Partial<Parameters<typeof Gateway.make>[0]> = {}) => {
  const scope = Scope.makeUnsafe()
  const declared = Gateway.make({ contracts: [Shop], auth, ...options })
  const over = client([], () => Effect.succeed({ cents: 7 }))
  const serving = serve(declared, { host: "127.0.0.1", port: 0, client: over })
  const url = await Effect.runPromise(serving.pipe(Effect.provideService(Scope.Scope, scope)))
  /** What is answered until the gateway closes the connection. */
  const say = async (...parts: ReadonlyArray<string>) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1").setEncoding("latin1")
    let said = ""
    socket.on("data", (data: string) => (said += data)).on("error", () => {})
    for (const part of parts) socket.write(part)
    await once(socket, "close")
    return said
  }
  return { say, url, [Symbol.asyncDispose]: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const statuses = (said: string) => [...said.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status))

describe("the page of a gateway on loopback", () => {
  it("has the address at which it listens in its examples, whatever a request calls it", async () => {
    await using shop = await listening()
    const said = await shop.say("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert.deepStrictEqual(statuses(said), [200])
    assert.include(said, `${shop.url}/v1/shop/Order/`)
    assert.notInclude(said, "evil.example")
  })
})

describe("a connection", () => {
  it("ends with the answer to a body that was not read, and else is kept", async () => {
    await using shop = await listening({ limits: { body: 1_000 } })
    const bearer = await token("ada", "send:*")
    const head = (path: string, length: number, type = "application/json") =>
      `POST ${path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${bearer}\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`
    const place = "/v1/shop/Order/o-1/place"
    const body = " ".repeat(900_000)
    const cases = [
      [head("/nothing", body.length), 404],
      [head(place, body.length, "text/plain"), 415],
      [head(place, body.length), 413]
    ] as const
    for (const [request, status] of cases) {
      const said = await shop.say(request, body)
      assert.deepStrictEqual(statuses(said), [status])
      assert.match(said, /^connection: close\r$/im)
    }
    const good = `${head(place, 11)}{"cents":7}`
    const last = "GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    assert.deepStrictEqual(statuses(await shop.say(good, good, last)), [200, 200, 200])
  })

  it("ends without an answer that cannot be written, and nothing else does", async () => {
    await using shop = await listening()
    const unhandled: Array<unknown> = []
    const hear = (reason: unknown) => unhandled.push(reason)
    process.on("unhandledRejection", hear)
    const broken = vi.spyOn(ServerResponse.prototype, "writeHead").mockImplementation(() => {
      throw new TypeError("a header cannot be written")
    })
    const requests = ["GET /livez HTTP/1.1\r\nHost: h\r\n\r\n", "GET /livez HTTP/1.1\r\nHost: a@h\r\n\r\n"]
    for (const request of requests) assert.strictEqual(await shop.say(request), "")
    assert.strictEqual(broken.mock.calls.length, 2)
    broken.mockRestore()
    process.off("unhandledRejection", hear)
    assert.deepStrictEqual(unhandled, [])
    assert.strictEqual((await fetch(`${shop.url}/livez`)).status, 200)
  })
})

describe("a request", () => {
  it("has one host, which is nothing but that", async () => {
    await using shop = await listening()
    const get = async (...hosts: ReadonlyArray<string>) =>
      statuses(
        await shop.say(
          `GET /nothing HTTP/1.1\r\n${hosts.map((host) => `Host: ${host}\r\n`).join("")}Connection: close\r\n\r\n`
        )
      )
    for (const host of ["h", "shop.example:80", "127.0.0.1:1", "[::1]:8080", "my_host-1.example."])
      assert.deepStrictEqual(await get(host), [404], host)
    const strange = [
      "localhost/livez?",
      "localhost/livez#",
      "localhost?",
      "a@localhost",
      "a:b@h",
      "h:x",
      "h\\livez",
      ""
    ]
    for (const host of [...strange, "a b", "h:99999", "[::1", "[1]", "a, b", "%6c"])
      assert.deepStrictEqual(await get(host), [400], host)
    assert.deepStrictEqual(await get("h", "h"), [400])
    assert.deepStrictEqual(await get("h", "localhost"), [400])
  })

  it("may name its host in its target, which then counts", async () => {
    await using shop = await listening()
    await using open = await listening({ auth: "none" })
    const close = "Connection: close\r\n\r\n"
    const ask = async (target: string, host = "evil", at: Pick<typeof shop, "say"> = shop) =>
      statuses(await at.say(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${close}`))
    for (const target of ["http://h/livez", "HTTPS://h:1/livez?x", "http://h", "http://h?x"])
      assert.deepStrictEqual(await ask(target), [200], target)
    assert.deepStrictEqual(await ask("http://h/livez", "h"), [200])
    // Who comes without a token must have asked for this machine.
    assert.deepStrictEqual(await ask("http://localhost/metrics", "evil", open), [200])
    assert.deepStrictEqual(await ask("http://evil/metrics", "localhost", open), [403])
    for (const target of ["http://a@h/livez", "http:///livez", "ftp://h/livez", "h:80", "http://h\\livez"])
      assert.deepStrictEqual(await ask(target), [400], target)
    assert.deepStrictEqual(await ask("http://h/livez", "a@h"), [400])
  })

  it("that is none is told so in an answer that nobody takes for a page", async () => {
    await using shop = await listening()
    const said = await shop.say("GET /livez HTTP/1.1\r\nHost: a@h\r\n\r\n")
    assert.match(said, /^content-type: application\/problem\+json\r$/m)
    assert.match(said, /^x-content-type-options: nosniff\r$/m)
    assert.include(said, '"code":"TRP0710"')
  })
})
