import { assert, describe, it, vi } from "@effect/vitest"
import { Edge } from "@troupe/actor/edge"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Protocol from "../../src/edge/Protocol.ts"
import * as Signature from "../../src/edge/Signature.ts"
import { endless, handlers, other, secret } from "./calls.ts"
import { declared, meter } from "./meter.ts"

const edge = Edge.serve([meter], { secrets: [secret] })

describe("an edge refuses", () => {
  const url = new URL("http://edge.test/edge?v=1")
  const body = new TextEncoder().encode(
    JSON.stringify({
      actor: "meters.Meter",
      dialect: Protocol.dialect(meter),
      lines: [
        {
          key: "k",
          state: '{"at":"1970-01-01T00:00:00.000Z","count":"0"}',
          turns: [{ id: "m-1", now: 0, command: "rest", payload: "{}" }]
        }
      ]
    })
  )
  const post = (
    change: {
      readonly to?: string
      readonly body?: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>
      readonly method?: string
      readonly headers?: object
      readonly signal?: AbortSignal
      readonly described?: Partial<Signature.Described>
    } = {},
    { at = Date.now(), by = secret, there = edge } = {}
  ) =>
    Effect.promise(async () => {
      const id = "call 1"
      const described = { ...(await Signature.describe(body)), ...change.described }
      const signature = await Signature.sign(by, Signature.ofCall(url, String(at), id, described))
      const { headers } = Signature
      const signed = {
        [headers.protocol]: Signature.protocol,
        [headers.time]: String(at),
        [headers.id]: id,
        ...Signature.describing(described),
        [headers.signature]: signature,
        ...change.headers
      }
      const method = change.method ?? "POST"
      const response = await there.fetch(
        new Request(change.to ?? url, {
          method,
          signal: change.signal ?? null,
          headers: signed,
          ...(method === "GET" ? {} : { body: change.body ?? body, duplex: "half" })
        } as RequestInit)
      )
      return [response.status, await response.text()] as const
    })

  it.live("nothing that a host signed a moment ago, and that as often as it comes", () =>
    Effect.gen(function* () {
      const lines = [[{ kind: "done", reply: "", staged: [] }]]
      assert.deepStrictEqual(yield* post(), [200, JSON.stringify({ lines })])
      assert.deepStrictEqual(yield* post(), [200, JSON.stringify({ lines })])
      assert.strictEqual((yield* post({}, { at: Date.now() - 4 * 60_000 }))[0], 200)
    })
  )

  it.live("to go on with what its host waits for no longer", () =>
    Effect.gen(function* () {
      const [began, ended] = [Latch.makeUnsafe(), Latch.makeUnsafe()]
      const hangs = declared.commands({
        ...handlers,
        *rest() {
          yield* began.open
          yield* Effect.ensuring(Effect.never, ended.open)
        }
      })
      const host = new AbortController()
      const there = Edge.serve([hangs], { secrets: [secret] })
      const call = yield* Effect.forkChild(post({ signal: host.signal }, { there }))
      yield* began.await
      host.abort()
      yield* ended.await
      assert.strictEqual((yield* Fiber.join(call))[0], 500)
    })
  )
  const minutes = 60_000
  const cases: Record<string, readonly [call: Effect.Effect<readonly [number, string]>, status: number, why: RegExp]> =
    {
      "what is no post": [post({ method: "GET" }), 405, /posts/],
      "what is not signed": [post({ headers: { [Signature.headers.signature]: "" } }), 401, /not signed/],
      "what has no time": [post({ headers: { [Signature.headers.time]: "" } }), 401, /not signed/],
      "what says a wrong time": [post({ headers: { [Signature.headers.time]: "soon" } }), 401, /not signed/],
      "what was signed for another time": [
        post({ headers: { [Signature.headers.time]: String(Date.now() - 1_000) } }),
        401,
        /no secret here/
      ],
      "what was signed for another call": [
        post({ headers: { [Signature.headers.id]: "call 2" } }),
        401,
        /no secret here/
      ],
      "what another secret signed": [post({}, { by: other }), 401, /no secret here/],
      "what was changed on its way": [
        post({ body: Uint8Array.from(body, (byte) => (byte === 107 ? 108 : byte)) }),
        401,
        /not the one that was signed/
      ],
      "what was cut on its way": [post({ body: body.slice(1) }), 401, /not the one that was signed/],
      "what has another length than was signed": [
        post({ headers: { [Signature.headers.length]: String(body.length - 1) } }),
        401,
        /no secret/
      ],
      "what has another hash than was signed": [
        post({ headers: { [Signature.headers.hash]: "0".repeat(64) } }),
        401,
        /no secret/
      ],
      "what describes no body": [post({ headers: { [Signature.headers.length]: "0x10" } }), 401, /not described/],
      "what was signed for another host": [post({ to: "http://edge.example/edge?v=1" }), 401, /for this host/],
      "what was signed for another port": [post({ to: "http://edge.test:81/edge?v=1" }), 401, /for this host/],
      "what a host of an older Troupe signed": [
        post({ headers: { [Signature.headers.protocol]: "" } }),
        409,
        /protocol 2 of edges; the host another/
      ],
      "what was signed for another path": [post({ to: "http://edge.test/other?v=1" }), 401, /and path/],
      "what was signed for another query": [post({ to: "http://edge.test/edge?v=2" }), 401, /and path/],
      "what was signed long ago": [
        Effect.suspend(() => post({}, { at: Date.now() - 6 * minutes })),
        401,
        /its time is 3\d\d s off/
      ],
      "what is signed for later": [Effect.suspend(() => post({}, { at: Date.now() + 6 * minutes })), 401, /s off/],
      "what is too large": [post({ described: { length: Protocol.limit + 1 } }), 413, /bytes/]
    }
  for (const [name, [call, status, why]] of Object.entries(cases)) {
    it.live(name, () =>
      Effect.gen(function* () {
        const answer = yield* call
        assert.strictEqual(answer[0], status)
        assert.match(answer[1], why)
      })
    )
  }

  it.live("to read anything of a body before the head of its call is verified", () =>
    Effect.gen(function* () {
      const { body, counts } = endless(65_536)
      assert.strictEqual((yield* post({ body }, { by: other }))[0], 401)
      assert.strictEqual((yield* post({ body: endless(1).body, described: { length: Protocol.limit + 1 } }))[0], 413)
      assert.strictEqual(counts.pulled, 0)
    })
  )

  it.live("to read more of a body than was signed", () =>
    Effect.gen(function* () {
      const { body, counts } = endless(100)
      assert.strictEqual((yield* post({ body, described: { length: 250 } }))[0], 401)
      assert.deepStrictEqual(counts, { pulled: 3, cancelled: 1 })
    })
  )

  it.live("bodies for which it has no memory, and takes them when others are read or took too long", () =>
    Effect.gen(function* () {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
      yield* Effect.addFinalizer(() => Effect.sync(() => vi.useRealTimers()))
      const silent = () => {
        const begun = Latch.makeUnsafe()
        const ended = Latch.makeUnsafe()
        const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
          { pull: () => (begun.openUnsafe(), new Promise(() => {})), cancel: () => void ended.openUnsafe() },
          { highWaterMark: 0 }
        )
        return { body, begun, ended }
      }
      const open = Effect.gen(function* () {
        const { begun, body, ended } = silent()
        const call = yield* Effect.forkChild(post({ body, described: { length: Protocol.limit } }))
        yield* begun.await
        return { call, ended }
      })
      const held = [yield* open, yield* open]
      // Of another edge of the isolate, too.
      const there = Edge.serve([meter], { secrets: [secret] })
      assert.deepStrictEqual(yield* post({}, { there }), [429, "it reads as many bodies as it has memory for"])
      vi.advanceTimersByTime(15_000)
      for (const { call, ended } of held) {
        yield* ended.await
        assert.strictEqual((yield* Fiber.join(call))[0], 408)
      }
      assert.strictEqual((yield* post({}, { there }))[0], 200)
    }).pipe(Effect.scoped)
  )

  it("to start with secrets that are none, and with two actors of one name", () => {
    assert.throws(() => Edge.serve([meter], { secrets: [undefined, ""] }), /no secret is set/)
    assert.throws(() => Edge.serve([meter], { secrets: ["short"] }), /at least 32/)
    assert.throws(() => Edge.serve([meter, meter], { secrets: [secret] }), /two actors/)
  })
})
