import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as address from "../src/run/address.ts"

describe("where health endpoints listen", () => {
  it.effect("is loopback unless said otherwise, by flag before environment", () =>
    Effect.gen(function* () {
      const none = { httpHost: Option.none(), httpPort: Option.none() }
      assert.deepStrictEqual(yield* address.of(none, {}), { host: "127.0.0.1", port: 4100 })
      const environment = { TROUPE_HTTP_HOST: "::", TROUPE_HTTP_PORT: "0" }
      assert.deepStrictEqual(yield* address.of(none, environment), { host: "::", port: 0 })
      const flags = { httpHost: Option.some("10.0.0.1"), httpPort: Option.some(80) }
      assert.deepStrictEqual(yield* address.of(flags, environment), { host: "10.0.0.1", port: 80 })
    })
  )

  it.effect("is refused when it is no port", () =>
    Effect.gen(function* () {
      const none = { httpPort: Option.none() }
      const by = (port: string) =>
        Effect.map(Effect.flip(address.of(none, { TROUPE_HTTP_PORT: port })), (e) => e.message)
      assert.match(yield* by("http"), /^TRP0101 .* · TROUPE_HTTP_PORT · "http" is no port/)
      assert.match(yield* by("65536"), /no port/)
      assert.match((yield* Effect.flip(address.of({ httpPort: Option.some(-1) }, {}))).message, / · --http-port · /)
    })
  )
})
