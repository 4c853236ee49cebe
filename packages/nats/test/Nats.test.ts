import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { capabilities, credentials, redactedUrl } from "../src/Nats.ts"

const info = (version: string, jetstream = true) => ({ version, max_payload: 1_048_576, jetstream })

describe("capabilities", () => {
  it.effect("grow with the server's version", () =>
    Effect.gen(function* () {
      const of = (version: string) =>
        Effect.map(capabilities(info(version), "here"), ({ atomicBatch, fastIngest }) => [atomicBatch, fastIngest])
      assert.deepStrictEqual(yield* of("2.11.0"), [false, false])
      assert.deepStrictEqual(yield* of("2.12.0-RC.1"), [true, false])
      assert.deepStrictEqual(yield* of("2.13.9"), [true, false])
      assert.deepStrictEqual(yield* of("2.14.0"), [true, true])
      assert.deepStrictEqual(yield* of("3.0.0"), [true, true])
    })
  )

  it.effect("are refused below 2.11, part by part and not as text", () =>
    Effect.gen(function* () {
      for (const version of ["2.10.29", "2.9.100", "1.12.0"]) {
        const error = yield* Effect.flip(capabilities(info(version), "nats://here"))
        assert.strictEqual(error.code, "TRP0402")
        assert.include(error.message, version)
        assert.include(error.message, "nats://here")
      }
      assert.strictEqual((yield* capabilities(info("2.100.0"), "here")).version, "2.100.0")
    })
  )

  it.effect("are refused without JetStream", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(capabilities(info("2.12.0", false), "here"))).code, "TRP0405")
      const { jetstream: _, ...silent } = info("2.12.0")
      assert.strictEqual((yield* Effect.flip(capabilities(silent, "here"))).code, "TRP0405")
    })
  )

  it.effect("can be lowered", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* capabilities(info("2.14.0"), "here", { atomicBatch: false, maxPayload: 1_000 }), {
        version: "2.14.0",
        atomicBatch: false,
        fastIngest: true,
        maxPayload: 1_000
      })
    })
  )
})

describe("credentials", () => {
  it("are taken out of the url, decoded", () => {
    assert.deepStrictEqual(credentials("nats://h"), { servers: ["h:4222"] })
    assert.deepStrictEqual(credentials("h:1, nats://u:p%40%2F@i:2"), {
      servers: ["h:1", "i:2"],
      user: "u",
      pass: "p@/"
    })
    assert.deepStrictEqual(credentials("nats://secret@h"), { servers: ["h:4222"], token: "secret" })
    assert.deepStrictEqual(credentials("nats://[::1]:1"), { servers: ["[::1]:1"] })
  })

  it("keep that tls:// demands TLS", () => {
    assert.deepStrictEqual(credentials("tls://u:p@h"), { servers: ["h:4222"], user: "u", pass: "p", tls: {} })
    assert.deepStrictEqual(credentials("nats://h,tls://i"), { servers: ["h:4222", "i:4222"], tls: {} })
  })

  it("refuse a websocket, which TCP would not understand", () => {
    assert.throws(() => credentials("ws://h:1"), "nats:// or tls://")
    assert.throws(() => credentials("wss://h:1"), "nats:// or tls://")
  })
})

describe("redactedUrl", () => {
  const shown = (url: string) => redactedUrl(Redacted.make(url))

  it("shows no user, password or token, whatever is in them", () => {
    assert.strictEqual(shown("nats://u:pass@h:1"), "nats://h:1")
    assert.strictEqual(shown("nats://secret@h:1"), "nats://h:1")
    assert.strictEqual(shown("nats://u:pa/ss@h:1"), "nats://h:1")
    assert.strictEqual(shown("nats://u:pa@ss@h:1"), "nats://h:1")
    assert.strictEqual(shown("nats://u:a,b@h:1"), "nats://h:1")
    assert.strictEqual(shown("nats://u:p\nq@h:1"), "nats://h:1")
    assert.strictEqual(shown("u:pass@h:1"), "h:1")
    assert.strictEqual(shown("nats://u:p@h:1,nats://v:q@i:2"), "nats://i:2")
    assert.strictEqual(shown("nats://u:p?@h:1?token=x"), "nats://h:1")
  })

  it("shows what holds no secret as it is", () => {
    assert.strictEqual(shown("tls://h:1"), "tls://h:1")
    assert.strictEqual(shown("nats://h:1,nats://i:2"), "nats://h:1,nats://i:2")
  })
})
