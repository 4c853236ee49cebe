import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Settings from "../src/Settings.ts"

const flag = (url: string) => Option.some(Redacted.make(url))
const none = Option.none<Redacted.Redacted>()
const value = (url: Option.Option<Redacted.Redacted>) => Option.getOrUndefined(Option.map(url, Redacted.value))
const mistake = <A>(effect: Effect.Effect<A, { readonly message: string }>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

describe("a setting", () => {
  it.effect("is taken from the flag before the environment, and empty counts as not set", () =>
    Effect.gen(function* () {
      const environment = { NATS_URL: "nats://environment:4222" }
      assert.strictEqual(
        value(yield* Settings.optional("NATS_URL", flag("nats://flag:4222"), environment)),
        "nats://flag:4222"
      )
      assert.strictEqual(value(yield* Settings.optional("NATS_URL", none, environment)), "nats://environment:4222")
      assert.strictEqual(value(yield* Settings.optional("NATS_URL", flag(""), environment)), "nats://environment:4222")
      assert.strictEqual(value(yield* Settings.optional("NATS_URL", none, { NATS_URL: "" })), undefined)
    })
  )

  it.effect("says both ways to set it when it is required and missing", () =>
    Effect.gen(function* () {
      const line = yield* mistake(Settings.required("DATABASE_URL", none, {}))
      assert.match(line, /^TRP0101 .*DATABASE_URL · neither --database-url nor DATABASE_URL is set/)
    })
  )

  it.effect("is refused when it is no url of its kind, without repeating it", () =>
    Effect.gen(function* () {
      const line = yield* mistake(Settings.optional("DATABASE_URL", flag("mysql://me:secret@host/db"), {}))
      assert.match(line, /^TRP0101 .* · --database-url · it is no postgres:\/\/ url/)
      assert.notInclude(line, "secret")
      assert.match(
        yield* mistake(Settings.optional("NATS_URL", none, { NATS_URL: "http://x" })),
        /· NATS_URL · it is no nats:/
      )
    })
  )

  it.effect("may be a bare address or a list for NATS", () =>
    Effect.gen(function* () {
      for (const url of ["127.0.0.1:4222", "nats://a:1,nats://b:2", "tls://u:p@a:4222", "wss://a"]) {
        assert.strictEqual(value(yield* Settings.optional("NATS_URL", flag(url), {})), url)
      }
    })
  )
})

describe("a url that is shown", () => {
  it("has no password, no token and no options", () => {
    const shown = (url: string) => Settings.redacted(Redacted.make(url))
    assert.strictEqual(shown("postgres://me:secret@host:5432/db"), "postgres://me@host:5432/db")
    assert.strictEqual(shown("postgres://me:se@cr@et@host/db?password=secret"), "postgres://me@host/db")
    assert.strictEqual(shown("nats://token@host:4222"), "nats://host:4222")
    assert.strictEqual(shown("me:secret@host:4222"), "me@host:4222")
    assert.strictEqual(shown("nats://host:4222"), "nats://host:4222")
    assert.notInclude(shown("nats://a:one@x:1,nats://b:two@y:2"), "one")
    assert.notInclude(shown("nats://a:one@x:1,nats://b:two@y:2"), "two")
    assert.notInclude(shown("postgres://me:a,b@host/db"), "b@")
  })
})
