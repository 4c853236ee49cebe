import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { run } from "./src/run.ts"
import type { Kind } from "./src/schedule.ts"

const among: ReadonlyArray<Kind> = [
  "kill-host",
  "kill-nats",
  "terminate-backends",
  "cut-link",
  "duplicates",
  "stream-full"
]

it.live(
  "a bank on three hosts keeps its money, its order and its answers under one fault of each of six kinds",
  () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const { asks, faults, hostsKilledByHealth, transfers, violations } = yield* run({
        seed: 1,
        minutes: 0.36,
        among,
        tell: (line) => lines.push(line)
      })
      assert.deepStrictEqual(violations, [], lines.join("\n"))
      for (const kind of among) assert.isAbove(faults[kind] ?? 0, 0, kind)
      assert.strictEqual(hostsKilledByHealth, 0)
      assert.isAbove(asks, 0)
      assert.isAbove(transfers, 0)
    }),
  180_000
)
