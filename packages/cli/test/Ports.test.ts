import { createServer } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Ports from "../src/dev/Ports.ts"

const taken = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
    const server = createServer().listen({ port: 0, host: "127.0.0.1" }, () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(Effect.succeed({ port, close: () => void server.close() }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

describe("free ports", () => {
  it.live("are different, ascend from the base, and are not those that somebody has", () =>
    Effect.gen(function* () {
      const { port } = yield* taken
      const found = yield* Ports.free(3, port)
      assert.strictEqual(new Set(found).size, 3)
      assert.isTrue(found.every((one, i) => one > (found[i - 1] ?? port)))
    })
  )

  it.live("are refused when there are not so many", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Ports.free(10, 65_530))
      assert.match(error.message, /^TRP0101 .*--http-port/)
    })
  )
})
