import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { World } from "./src/world.ts"

const guide = readFileSync(new URL("../../docs/gateway.md", import.meta.url), "utf8")
/** Each block of shell, with what the guide says that it prints. */
const examples = [...guide.matchAll(/^```sh\n([^]*?)^```\n\n^```text\n([^]*?)^```$/gm)].map(
  ([, run = "", prints = ""]) => ({
    run,
    prints
  })
)

const shell = (text: string): Promise<string> =>
  new Promise((resolve) => execFile("sh", ["-c", text], (_, stdout) => resolve(stdout)))

/** `*` stands for what differs each time, within a line. */
const pattern = (text: string): RegExp =>
  new RegExp(
    `^${text
      .trim()
      .split("*")
      .map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"))
      .join('[^\\s"]+')}$`
  )

layer(World.layer, { excludeTestServices: true, timeout: 60_000 })("the guide to the gateway", (it) => {
  it.effect("shows what curl prints", () =>
    Effect.gen(function* () {
      assert.strictEqual(examples.length, guide.match(/^```sh$/gm)?.length)
      assert.isAtLeast(examples.length, 8)
      const world = yield* World
      yield* world.orders
      const { url } = yield* world.openGateway
      for (const { prints, run } of examples) {
        const text = run.replaceAll("http://127.0.0.1:4103", url).replaceAll(/^curl /gm, "curl -s ")
        assert.match((yield* Effect.promise(() => shell(text))).trim(), pattern(prints), run)
      }
    })
  )
})
