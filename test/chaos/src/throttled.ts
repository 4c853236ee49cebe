import { Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import type { Throttled } from "./throttle.ts"

/** Gives each process a share of a core, from 0 to 1, until the scope ends. */
export const throttled = (pids: ReadonlyArray<number>, share: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const end = new Int32Array(new SharedArrayBuffer(4))
      const workerData: Throttled = { pids, share, end }
      return { end, thread: new Worker(new URL("./throttle.ts", import.meta.url), { workerData }) }
    }),
    ({ end, thread }) =>
      Effect.callback<void>((resume) => {
        thread.once("exit", () => resume(Effect.void))
        Atomics.store(end, 0, 1)
        Atomics.notify(end, 0)
      })
  )
