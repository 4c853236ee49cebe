import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { troupe } from "./troupe.ts"

const contract = (...args: ReadonlyArray<string>) => troupe(["contract", ...args])

describe("troupe contract", () => {
  it.live("exports the contract of a module, or of a service", () =>
    Effect.gen(function* () {
      const { code, err, out } = yield* contract("export", "contracts/now.ts")
      assert.deepStrictEqual([code, err], [0, ""])
      assert.deepInclude(JSON.parse(out), { document: 1, service: "carts", version: 2 })
      const inOneLine = yield* contract("export", "contracts/now.ts", "--json")
      assert.deepStrictEqual(JSON.parse(inOneLine.out), JSON.parse(out))
      const service = yield* contract("export", "services/alpha/src/main.ts")
      assert.strictEqual(JSON.parse(service.out).service, "cli-alpha")
      const none = yield* contract("export", "noService.ts")
      assert.match(none.err, /^TRP0610 .*noService\.ts · it exports none/)
      assert.strictEqual(none.code, 1)
    })
  )

  it.live("exports what goes over HTTP and over NATS", () =>
    Effect.gen(function* () {
      const openapi = yield* contract("export", "contracts/now.ts", "--format", "openapi")
      assert.deepStrictEqual([openapi.code, openapi.err], [0, ""])
      assert.property(JSON.parse(openapi.out).paths, "/v1/carts/Cart/{key}/add")
      const asyncapi = yield* contract("export", "contracts/now.ts", "--format", "asyncapi", "--json")
      assert.property(JSON.parse(asyncapi.out).operations, "cmd.carts.Cart.add")
      assert.strictEqual(asyncapi.out.trimEnd().split("\n").length, 1)
      const exported = yield* contract("export", "contracts/old.json", "--format", "asyncapi")
      assert.match(exported.err, /^TRP0610 .*old\.json · it is an exported contract: name the module/)
      assert.strictEqual(exported.code, 1)
    })
  )

  it.live("says who is broken by a change, and ends with 0, 1 or 2", () =>
    Effect.gen(function* () {
      const same = yield* contract("diff", "contracts/old.json", "contracts/old.json")
      assert.deepStrictEqual(same, { code: 0, out: "nothing changed\n", err: "" })
      const broken = yield* contract("diff", "contracts/old.json", "contracts/now.ts")
      assert.match(broken.out, /^breaks senders {4}carts\.Cart\.add\.payload\.sku · a string may come, and an integer/)
      assert.deepStrictEqual([broken.code, broken.err], [1, ""])
      const json = yield* contract("diff", "contracts/old.json", "contracts/now.ts", "--json")
      assert.isFalse(JSON.parse(json.out).compatible)
      for (const old of ["contracts/none.json", "noService.ts"]) {
        const unread = yield* contract("diff", old, "contracts/now.ts")
        assert.match(unread.err, /^TRP0(103|610) [^\n]*\n$/)
        assert.deepStrictEqual([unread.code, unread.out], [2, ""])
      }
    })
  )
})
