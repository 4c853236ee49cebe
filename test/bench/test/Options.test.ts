import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { BenchError } from "../src/BenchError.ts"
import { parse, usage } from "../src/Options.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

const bench = (...args: ReadonlyArray<string>) =>
  new Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }>((resolve) => {
    execFile(process.execPath, ["--conditions=@troupe/source", main, ...args], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr })
    )
  })

describe("Options", () => {
  it("what is no bench is refused, with the usage, on stderr", async () => {
    const { code, stderr, stdout } = await bench("speed", "--json")
    assert.strictEqual(code, 2)
    assert.strictEqual(stdout, "")
    assert.strictEqual(
      stderr,
      `${usage}\nthe command line cannot be read · speed · the benches are turns, relay, failover, memory, report · see the usage\n`
    )
  })

  it("no bench, unknown flags, systems and numbers are refused", () => {
    const wrong = [
      [],
      ["turns", "now"],
      ["turns", "--fast"],
      ["turns", "--only", "troupe,akka"],
      ["turns", "--rounds", "0"],
      ["turns", "--callers", "64,many"],
      ["relay", "--rows", "1e9.5"],
      ["report"]
    ]
    for (const args of wrong) assert.instanceOf(parse(args), BenchError, args.join(" "))
  })

  it("has defaults for everything, and systems in an order of their own", () => {
    const options = parse(["turns", "--only", "restate,troupe"])
    assert.isFalse(options instanceof BenchError)
    if (options instanceof BenchError) return
    assert.deepStrictEqual(options.only, ["troupe", "restate"])
    assert.deepStrictEqual(options.callers, [64, 512])
    assert.strictEqual(options.rounds, 3)
  })
})
