import { Worker } from "node:worker_threads"
import type { Host } from "../Ownership.ts"
import type { Memory } from "./Memory.ts"
import type { Bounds } from "./Watch.ts"

/** What the thread beside the event loop is started with. */
export interface Given {
  readonly memory: Memory
  /** Of the database. */
  readonly url: string
  /** Between heartbeats, in ms. */
  readonly heartbeat: number
  readonly bounds: Bounds
  /** What is written to stderr when the process is ended, with a NUL for the reason. */
  readonly line: string
  /** That line is JSON, as the log of the process is. */
  readonly json: boolean
}

/** The names of consumers by id. */
export type Names = ReadonlyMap<number, string>

/** What it is told. Each join has a number, and ends what went on before. */
export type Told = { readonly join: number; readonly host: Host; readonly names: Names } | { readonly end: true }

/** What it says: of which join. */
export type Said =
  | { readonly joined: number }
  | { readonly failed: number; readonly why: string }
  | { readonly over: number; readonly why: string }

/**
 * Starts it; takes 30 to 60 ms, beside whatever else goes on. It does not keep the process. Throws where the runtime allows
 * no threads.
 */
export const start = (given: Given): Worker => {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js"
  const worker = new Worker(new URL(`./main.${extension}`, import.meta.url), {
    workerData: given,
    name: "troupe",
    // None of those of the process: what it loads first (instrumentation, loaders) is not for this thread.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 }
  })
  worker.unref()
  return worker
}

export const tell = (worker: Worker, told: Told): void => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  worker.postMessage(told)
}
