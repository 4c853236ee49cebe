import { assert, it } from "@effect/vitest"
import { Codes } from "@troupe/contract"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import * as Complaints from "../src/Complaints.ts"

it.effect(
  "what fails again and again is told with its cause, once a minute, and at once when the cause changes",
  () => {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))
    return Effect.gen(function* () {
      const { settle, tell } = Complaints.make()
      const refused = Object.assign(new Error("An error occurred in Effect.tryPromise"), {
        cause: new Error("connect ECONNREFUSED")
      })
      for (let second = 0; second < 125; second++) {
        yield* tell("TRP0327", "a", refused)
        yield* TestClock.adjust("1 second")
      }
      assert.deepStrictEqual(lines, Array(3).fill(Codes.text("TRP0327", "a", "connect ECONNREFUSED")))
      lines.length = 0
      yield* tell("TRP0327", "a", new Error("no such role"))
      yield* tell("TRP0328", "b", new Error("no such role"))
      assert.deepStrictEqual(lines, [
        Codes.text("TRP0327", "a", "no such role"),
        Codes.text("TRP0328", "b", "no such role")
      ])
      for (let i = 0; i < 20; i++) {
        yield* tell("TRP0327", "a", new Error(`${i}`))
        yield* TestClock.adjust("100 millis")
      }
      assert.lengthOf(lines, 3, "reasons that differ each time are told once a second")
      settle("TRP0328", "b")
      yield* tell("TRP0328", "b", new Error("no such role"))
      assert.lengthOf(lines, 4)
    }).pipe(Effect.provide(Logger.layer([logger])))
  }
)
