import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { run } from "./src/run.ts"
import type { Kind } from "./src/schedule.ts"

const among: ReadonlyArray<Kind> = ["kill-host", "kill-nats", "terminate-backends", "cut-link", "duplicates"]

it.live(
  "a bank on three hosts keeps its money, its order and its answers under one fault of each of five kinds",
  () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const { asks, faults, transfers, violations } = yield* run({
        seed: 1,
        minutes: 0.3,
        among,
        tell: (line) => lines.push(line)
      })
      assert.deepStrictEqual(violations, [], lines.join("\n"))
      for (const kind of among) assert.isAbove(faults[kind] ?? 0, 0, kind)
      assert.isAbove(asks, 0)
      assert.isAbove(transfers, 0)
    }),
  180_000
)
