import { assert, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Turns from "../../src/edge/Turns.ts"
import { meter } from "./meter.ts"

const state = '{"at":"1970-01-01T00:00:00.000Z","count":"0"}'
const line = (key: string, turns: number) => {
  const turn = (i: number) => ({ id: `${key} ${i}`, now: 0, command: "rest", payload: "{}" })
  return { key, state, turns: [turn(0), ...Array.from({ length: turns - 1 }, (_, i) => turn(i + 1))] as const }
}

/** How many turns of each line are run when each look at the clock comes `ms` after the one before. */
const run = (ms: number, ...lines: ReadonlyArray<ReturnType<typeof line>>) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    let now = 0n
    const monotonicTimeNanos = Effect.sync(() => (now += BigInt(ms) * 1_000_000n))
    const slow = Object.assign(Object.create(clock) as Clock.Clock, { monotonicTimeNanos })
    const ran = yield* Effect.provideService(Turns.run(Turns.runner(meter), lines), Clock.Clock, slow)
    return ran.map(({ length }) => length)
  })

it.effect("no line is begun more than 5 s after its call, and no turn more than 1 s after its line", () =>
  Effect.gen(function* () {
    const [one, two] = [line("one", 1), line("two", 1)]
    assert.deepStrictEqual(yield* run(0, one, two, line("three", 3)), [1, 1, 3])
    assert.deepStrictEqual(yield* run(1_100, one, two, line("three", 3)), [1, 1, 0])
    assert.deepStrictEqual(yield* run(900, line("three", 3)), [2])
    assert.deepStrictEqual(yield* run(60_000, line("three", 3), two), [1, 0], "of the first line always one")
  })
)
