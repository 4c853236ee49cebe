import { connect } from "@nats-io/transport-node"
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Nats } from "../src/index.ts"

const natsUrl = process.env["NATS_URL"] ?? "NATS_URL is not set"

it.live("what is published last is sent before the connection closes", () =>
  Effect.gen(function* () {
    const subject = `test.nats.${crypto.randomUUID()}`
    const count = 100
    const listener = yield* Effect.acquireRelease(
      Effect.promise(() => connect({ servers: natsUrl.replace("nats://", "") })),
      (connection) => Effect.promise(() => connection.close())
    )
    const heard: Array<string> = []
    const subscription = listener.subscribe(subject, {
      callback: (_, message) => void heard.push(message.string())
    })
    yield* Effect.promise(() => listener.flush())
    yield* Effect.scoped(
      Effect.gen(function* () {
        const nats = Context.get(yield* Layer.build(Nats.layer({ url: Redacted.make(natsUrl) })), Nats)
        for (let i = 0; i < count; i++) nats.connection.publish(subject, String(i))
      })
    )
    // The server has all that the other connection sent; a round trip on this one brings it here.
    yield* Effect.promise(() => listener.flush())
    subscription.unsubscribe()
    assert.deepStrictEqual(
      heard,
      Array.from({ length: count }, (_, i) => String(i))
    )
  }).pipe(Effect.scoped)
)

it.live("tls:// is refused by a server that has no TLS, not quietly given up", () =>
  Effect.gen(function* () {
    const url = Redacted.make(natsUrl.replace("nats://", "tls://user:pa@ss/word@"))
    const wrong = yield* Effect.flip(Effect.scoped(Layer.build(Nats.layer({ url }))))
    assert.strictEqual(wrong.code, "TRP0401")
    assert.notInclude(wrong.message, "word")
    const tls = Redacted.make(natsUrl.replace("nats://", "tls://"))
    const error = yield* Effect.flip(Effect.scoped(Layer.build(Nats.layer({ url: tls }))))
    assert.strictEqual(error.code, "TRP0401")
    assert.match(error.message, /does not support 'tls'/)
  })
)
