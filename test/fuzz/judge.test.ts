import { createServer } from "node:net"
import { once } from "node:events"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Http } from "./src/http.ts"
import { judge } from "./src/judge.ts"
import { oddMessages } from "./src/messages.ts"
import { oddRequests } from "./src/requests.ts"
import type { Vitals } from "./src/vitals.ts"

const calm: Vitals = {
  rss: 200e6,
  loopDelayMs: Array.from({ length: 100 }, () => 1),
  loopDelayMaxMs: 5,
  unhandledRejections: 0,
  uncaughtExceptions: 0,
  last: undefined
}
const seconds = (count: number, of: (second: number) => Partial<Vitals>): ReadonlyArray<Vitals> =>
  Array.from({ length: count }, (_, i) => ({ ...calm, ...of(i) }))

describe("what a process says of itself", () => {
  it("is no violation while all is well, however it starts", () => {
    const starting = (second: number) => (second < 5 ? { loopDelayMaxMs: 3_000, rss: 100e6 } : {})
    assert.deepStrictEqual(judge("host", seconds(200, starting)).violations, [])
    assert.deepStrictEqual(judge("host", []).violations, [])
  })

  it("is a violation when its memory grows, its event loop is late, or nobody waits for a promise", () => {
    const violations = (of: (second: number) => Partial<Vitals>) => judge("host", seconds(200, of)).violations.join()
    assert.match(
      violations((second) => ({ rss: 200e6 + second * 1e6 })),
      /memory grew from 2\d\d to 3\d\d MB/
    )
    assert.match(
      violations(() => ({ loopDelayMs: Array.from({ length: 100 }, (_, i) => (i < 95 ? 1 : 150)) })),
      /150 ms/
    )
    assert.match(
      violations((second) => (second === 100 ? { loopDelayMaxMs: 2_500 } : {})),
      /late by 2500 ms once/
    )
    assert.match(
      violations(() => ({ unhandledRejections: 1, last: "of this" })),
      /1 unhandled rejections.*of this/
    )
    assert.match(
      violations(() => ({ uncaughtExceptions: 2 })),
      /2 uncaught exceptions/
    )
  })
})

describe("the grammar", () => {
  it("gives the same for the same seed, and something else for another one", () => {
    for (const arbitrary of [oddMessages(["a"]), oddRequests(["t"])] as ReadonlyArray<fc.Arbitrary<unknown>>) {
      const of = (seed: number) => JSON.stringify(fc.sample(arbitrary, { seed, numRuns: 50 }))
      assert.strictEqual(of(1), of(1))
      assert.notStrictEqual(of(1), of(2))
    }
  })

  it("spares the keys of valid messages all that would be handled", () => {
    const key = "of-a-valid-message"
    const hits = fc.sample(oddMessages([key]), { seed: 1, numRuns: 600 }).filter(({ subject }) => subject.endsWith(key))
    assert.isAbove(hits.length, 50)
    for (const { headers } of hits)
      assert.isFalse(
        headers.some(([name]) => name === "Troupe-Contract"),
        "it would wait"
      )
  })
})

it("a request that is not answered is told, and so is a connection that is closed without an answer", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => {})
    socket.on("data", (bytes) => {
      if (bytes.includes("/close")) socket.destroy()
      if (bytes.includes("/coded"))
        socket.write('HTTP/1.1 400 Bad Request\r\ncontent-length: 18\r\n\r\n{"code":"TRP0704"}')
    })
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as { port: number }
  using http = new Http(`http://127.0.0.1:${port}`)
  const send = (path: string, within = 60_000) =>
    http.send({ method: "GET", head: `GET ${path} HTTP/1.1\r\n\r\n`, body: new Uint8Array(), isFramed: true }, within)
  assert.strictEqual(await send("/coded"), "400 TRP0704")
  assert.strictEqual(await send("/close"), "closed")
  assert.strictEqual(await send("/never", 50), "hang")
  server.close()
})
