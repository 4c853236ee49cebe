import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Discovery, load, loadAll } from "../src/service/index.ts"

const service = (name: string) => `export default { "~troupe": "service", name: "${name}" }\n`

/** A folder with these files, gone afterwards. */
const folder = (files: { readonly [path: string]: string }) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const cwd = await mkdtemp(join(tmpdir(), "troupe-cli-"))
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(cwd, path)), { recursive: true })
        await writeFile(join(cwd, path), text)
      }
      return cwd
    }),
    (cwd) => Effect.promise(() => rm(cwd, { recursive: true }))
  )
const message = <A>(effect: Effect.Effect<A, { readonly message: string }>) =>
  Effect.map(Effect.flip(effect), (e) => e.message)

describe("the services of a folder", () => {
  it.effect("are the main files below services that have a default export, but the one that is left out", () =>
    Effect.gen(function* () {
      const cwd = yield* folder({
        "services/payments/src/main.ts": service("payments"),
        "services/orders/src/main.ts": "const it = {}\nexport { it as default }\n",
        "services/customers/src/main.ts": "console.log('a program, not a service: export default')\n",
        "services/orders/contract/src/contract.ts": service("no"),
        "services/readme.md": ""
      })
      const at = (name: string) => join(cwd, "services", name, "src", "main.ts")
      assert.deepStrictEqual(yield* Discovery.files([], { cwd }), [at("orders"), at("payments")])
      assert.deepStrictEqual(yield* Discovery.files([], { cwd, except: "services/orders/src/main.ts" }), [
        at("payments")
      ])
    })
  )

  it.effect("are none where there is no such folder", () =>
    Effect.gen(function* () {
      const cwd = yield* folder({})
      assert.deepStrictEqual(yield* Discovery.files([], { cwd }), [])
    })
  )

  it.effect("are those that are named, each once, and a missing one is said", () =>
    Effect.gen(function* () {
      const cwd = yield* folder({ "a.ts": service("a"), "b.ts": service("b") })
      assert.deepStrictEqual(yield* Discovery.files(["b.ts", "./a.ts", join(cwd, "b.ts")], { cwd }), [
        join(cwd, "b.ts"),
        join(cwd, "a.ts")
      ])
      assert.match(yield* message(Discovery.files(["c.ts"], { cwd })), /^TRP0103 .*c\.ts · there is no such file/)
    })
  )

  it.effect("have their migrations beside the nearest package.json", () =>
    Effect.gen(function* () {
      const cwd = yield* folder({
        "package.json": "{}",
        "migrations/0001_not_these.sql": "",
        "services/orders/package.json": "{}",
        "services/orders/migrations/0001_lines.sql": "",
        "services/payments/package.json": "{}"
      })
      const found = (name: string) => Discovery.migrations(join(cwd, "services", name, "src", "main.ts"))
      assert.strictEqual(yield* found("orders"), join(cwd, "services", "orders", "migrations"))
      assert.isUndefined(yield* found("payments"))
    })
  )
})

describe("a service's file", () => {
  it.effect("is loaded, or refused in one line that says why", () =>
    Effect.gen(function* () {
      const cwd = yield* folder({
        "good.mjs": service("good"),
        "other.mjs": "export default {}\n",
        "none.mjs": "export const a = 1\n",
        "throws.mjs": "throw new Error('out of luck\\n  at somewhere')\n",
        "front.mjs": `export default { "~troupe": "gateway", name: "front" }\n`,
        "again.mjs": service("good")
      })
      const at = (name: string) => join(cwd, `${name}.mjs`)
      const { gateways, services } = yield* loadAll([at("good"), at("front")])
      assert.deepStrictEqual([services[0]?.service.name, gateways[0]?.gateway.name], ["good", "front"])
      assert.match(yield* message(load(at("other"))), /^TRP0102 .* · its default export is something else · /)
      assert.match(yield* message(load(at("none"))), /^TRP0102 .* · it has no default export · /)
      assert.match(yield* message(load(at("throws"))), /^TRP0103 .* · out of luck.* · /)
      assert.match(
        yield* message(loadAll([at("good"), at("again")])),
        /^TRP0102 .*again.* · another file is named good too · /
      )
    })
  )
})
