import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it, vi } from "@effect/vitest"
import { Text } from "@troupe/contract"
import * as Effect from "effect/Effect"
import { page } from "../src/dead/render.ts"
import * as Notices from "../src/dev/Notices.ts"
import { lineOf } from "../src/Failure.ts"
import * as Print from "../src/Print.ts"
import { layer } from "../src/run/logging.ts"
import { hidden, hostile } from "./hostile.ts"

const source = fileURLToPath(new URL("../src/", import.meta.url))

/** What is written on stdout and stderr meanwhile. */
const written = (run: () => void): string => {
  const spies = [
    vi.spyOn(process.stderr, "write").mockReturnValue(true),
    vi.spyOn(console, "log").mockReturnValue(),
    vi.spyOn(console, "error").mockReturnValue()
  ]
  try {
    run()
    return spies.flatMap(({ mock }) => mock.calls.map(([text]) => String(text).replace(/\n$/, ""))).join("\n")
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

describe("what the CLI shows of others", () => {
  it("is printed by one module", () => {
    const others = globSync("**/*.ts", { cwd: source }).filter((file) =>
      /\bconsole\.|\bConsole\.|std(out|err)\.write\(/.test(readFileSync(join(source, file), "utf8"))
    )
    // The version; the end of the output; the lines of dev, which are tested below.
    assert.deepStrictEqual(others.sort(), ["Print.ts", "dev/Notices.ts", "main.ts", "start.ts"])
  })

  it("commands no terminal, and is the same value in JSON", () => {
    const text = written(() => {
      Print.line(hostile)
      Print.err(hostile)
      Notices.say(hostile)
      Notices.pass("orders", hostile)
      Print.err(lineOf(new Error(hostile)))
    })
    assert.notMatch(text.replaceAll(/[\n\t]/g, ""), hidden)
    assert.include(text, "\\u001b[31m")
    assert.deepStrictEqual(JSON.parse(written(() => Print.line(JSON.stringify({ hostile })))), { hostile })
  })

  it("forges no line of a log", () => {
    const log = Effect.annotateLogs(Effect.logWarning(hostile, new Error(hostile), { key: hostile }), { hostile })
    const people = written(() => Effect.runSync(Effect.provide(log, layer(false))))
    assert.notMatch(people.replaceAll(/[\n\t]/g, ""), hidden)
    assert.notMatch(people, /^TRP9999/m)
    assert.match(people, /^ +TRP9999/m)
    const programs = written(() => Effect.runSync(Effect.provide(log, layer(true))))
    assert.notMatch(programs, hidden)
    assert.deepStrictEqual(JSON.parse(programs).message[0], hostile)
  })

  it("is indented where it is a payload", () => {
    const body = new TextEncoder().encode("first\nTRP9999 forged")
    const origin = undefined
    const facts = { id: 1, partition: 0, sequence: 1, at: new Date(0), wished: undefined, headers: {}, body, origin }
    const shown = page({
      ...facts,
      consumer: "a",
      key: hostile,
      messageId: "",
      stream: "",
      subject: "",
      code: "",
      reason: hostile
    })
    assert.match(shown, /^ {2}first\n {2}TRP9999 forged$/m)
    assert.notMatch(shown, /^TRP9999/m)
    assert.include(shown, Text.line(hostile))
  })
})
