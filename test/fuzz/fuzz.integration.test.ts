import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { run } from "./src/run.ts"

it.live(
  "odd messages and requests of a grammar harm neither host nor gateway, and valid ones among them are handled once",
  () =>
    Effect.gen(function* () {
      const result = yield* run({ seed: 1, minutes: 0.08, perSecond: { messages: 1_000, requests: 200 } })
      const { deadLetters, replies, statuses, valid } = result
      // How late an event loop is depends on what else runs here.
      const broken = result.violations.filter((violation) => !/event loop is late/.test(violation))
      assert.deepStrictEqual(broken, [], `logs: ${result.logs}`)
      assert.strictEqual(result.crashes + result.hangs, 0)
      // The grammar reaches what it is for: each of these is refused, and some are handled.
      for (const code of ["TRP0201", "TRP0202", "TRP0203", "TRP0204", "TRP0205"])
        assert.isAbove(deadLetters[code] ?? 0, 0, code)
      assert.isAbove(replies["reply"] ?? 0, 0)
      assert.isAbove(replies["rejected TRP0201"] ?? 0, 0)
      for (const status of ["200", "400", "400 TRP0710", "401 TRP0706", "403 TRP0707", "404 TRP0701", "405 TRP0702"])
        assert.isAbove(statuses[status] ?? 0, 0, status)
      for (const [kind, count] of Object.entries(valid)) assert.isAbove(count, 0, kind)
    }),
  120_000
)
