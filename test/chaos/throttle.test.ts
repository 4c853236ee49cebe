import { spawn } from "node:child_process"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Processes from "./src/processes.ts"
import { throttled } from "./src/throttled.ts"

/** A process that takes all the time that it gets. */
const busy = Effect.acquireRelease(
  Effect.sync(() => spawn(process.execPath, ["--eval", "for (;;);"], { stdio: "ignore" })),
  (child) => Effect.sync(() => child.kill("SIGKILL"))
)

/** Waits until a process has used so many ms more; how many ms that took. */
const using = (pid: number, ms: number) =>
  Effect.suspend(() => {
    const [since, before] = [performance.now(), Processes.cpu(pid)]
    return Effect.sync(() => Processes.cpu(pid) - before >= ms).pipe(
      Effect.repeat({ until: (is) => is, schedule: Schedule.spaced("5 millis") }),
      Effect.map(() => performance.now() - since)
    )
  })

it.live(
  "a process that starves gets no more than its share of a core, and is let go afterwards",
  () =>
    Effect.gen(function* () {
      const pid = (yield* busy).pid!
      yield* using(pid, 100)
      const took = yield* Effect.scoped(Effect.andThen(throttled([pid], 0.25), using(pid, 500)))
      // It may use at once what it has saved, 25 ms; times are told in steps of 10 ms.
      assert.isAbove(took, (500 - 25 - 20) / 0.25 / 1.1)
      yield* using(pid, 500)
      assert.notStrictEqual(Processes.all().find((one) => one.pid === pid)?.state, "T")
    }).pipe(Effect.scoped),
  60_000
)
